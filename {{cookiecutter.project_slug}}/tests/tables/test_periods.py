from datetime import date

import pytest

from {{ cookiecutter.__package }}.tables import periods

DAY = date(2024, 12, 31)  # a Tuesday


@pytest.mark.parametrize(
    ("period", "first", "name"),
    [
        ("day", date(2024, 12, 31), "2024-12-31"),
        ("week", date(2024, 12, 30), "2025-w01"),
        ("month", date(2024, 12, 1), "2024-12"),
        ("quarter", date(2024, 10, 1), "2024-q4"),
        ("year", date(2024, 1, 1), "2024"),
    ],
)
def test_a_period_begins_on_its_first_day_and_has_a_name(
    period: periods.Period, first: date, name: str
) -> None:
    assert periods.start(DAY, period) == first
    assert periods.name(first, period) == name


@pytest.mark.parametrize("period", periods.PERIODS)
def test_periods_follow_one_another_and_their_names_sort(period: periods.Period) -> None:
    found = list(periods.between(date(2023, 5, 17), date(2025, 2, 3), period))
    names = [periods.name(first, period) for first in found]
    assert names == sorted(set(names))
    assert found[0] <= date(2023, 5, 17) < found[1]
    assert found[-1] <= date(2025, 2, 3) < periods.following(found[-1], period)
    assert all(periods.start(first, period) == first for first in found)
