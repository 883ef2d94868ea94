import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package }}.monitoring.distance import (
    STATISTICS,
    Column,
    Statistic,
    chance,
    chi_squared,
    jensen_shannon,
    measure,
    unseen_mass,
)

RANDOM = np.random.default_rng(5)
NUMBERS = RANDOM.normal(50, 10, 4000).round()
WORDS = RANDOM.choice(["a", "b", "c", "d"], 4000, p=[0.5, 0.3, 0.15, 0.05]).astype(object)


def measured(reference: object, current: object, numeric: bool) -> dict[Statistic, float]:
    column = Column(reference, current, numeric)
    return measure(*column.sides(), column.numbers)


def test_the_distance_is_0_for_the_same_and_1_for_nothing_in_common() -> None:
    same = np.array([3, 5, 2])
    assert jensen_shannon(same, same * 7) == 0
    assert jensen_shannon(np.array([4, 0]), np.array([0, 9])) == pytest.approx(1)


def test_the_distance_is_that_of_its_definition() -> None:
    first, second = np.array([10, 0, 30, 60]), np.array([5, 5, 0, 40])
    assert jensen_shannon(first, second) == pytest.approx(0.45862872)  # SciPy's, to the base 2


@pytest.mark.parametrize(
    ("degrees", "exact"), [(1, 15.1367), (4, 23.5127), (9, 33.7199), (30, 67.6326)]
)
def test_the_chi_squared_bound_is_close_to_the_exact_one(degrees: int, exact: float) -> None:
    assert exact <= chi_squared(1e-4, degrees) <= 1.08 * exact


def test_samples_of_one_population_stay_within_what_chance_explains() -> None:
    over = 0
    for seed in range(200):
        order = np.random.default_rng(seed).permutation(4000)
        for values, numeric in ((NUMBERS, True), (WORDS, False)):
            column = Column(values[order[:3000]], values[order[3000:]], numeric)
            sides = column.sides()
            found = measure(*sides, column.numbers)
            bound = chance(*sides, column.numbers, 1e-3)
            over += sum(found[name] > bound[name] for name in STATISTICS)
    assert over <= 12  # 2.4 are expected of 2,400, more than 12 once in a million times


def test_a_distance_that_chance_does_not_explain_is_beyond_the_bound() -> None:
    column = Column(NUMBERS, NUMBERS[:1000] + 3, True)
    found = measure(*column.sides(), column.numbers)["distance"]
    assert found > chance(*column.sides(), column.numbers, 1e-4)["distance"]


@pytest.mark.parametrize(
    ("statistic", "change", "size"),
    [
        ("missing", lambda x: np.where(np.arange(4000) % 4 == 0, np.nan, x), 0.25),
        ("unseen", lambda x: x + 0.5, 1.0),
        ("outside", lambda x: x * 1000, 1.0),
        ("stuck", lambda x: x * 0 + 50, 1.0),
    ],
)
def test_what_befalls_numbers_is_measured(
    statistic: Statistic, change: object, size: float
) -> None:
    assert callable(change)
    assert measured(NUMBERS, change(NUMBERS), True)[statistic] == pytest.approx(size, abs=0.03)
    assert measured(NUMBERS, NUMBERS, True)[statistic] <= 0


def test_new_numbers_are_no_surprise_where_every_number_is_new() -> None:
    continuous = RANDOM.normal(size=4000)
    assert unseen_mass(Column(continuous, continuous, True).sides()[0]) == 1
    assert measured(continuous, RANDOM.normal(size=4000), True)["unseen"] <= 0


def test_new_numbers_are_no_surprise_where_few_rows_share_one() -> None:
    customers = np.repeat(RANDOM.normal(size=400), 10)  # ten rows of each
    assert measured(customers, np.repeat(RANDOM.normal(size=400), 10), True)["unseen"] <= 0


def test_new_categories_are_expected_where_many_occurred_once() -> None:
    towns = RANDOM.zipf(1.6, 8000).astype(str)
    new = len(set(towns[4000:]) - set(towns[:4000])) / 4000
    assert new > 0.02
    assert abs(measured(towns[:4000], towns[4000:], False)["unseen"]) < 0.01


def test_what_befalls_categories_is_measured() -> None:
    renamed = np.where(WORDS == "b", "B", WORDS)
    share = (WORDS == "b").mean()
    found = measured(WORDS, renamed, False)
    assert found["unseen"] == pytest.approx(share)
    assert found["vanished"] == pytest.approx(share)
    assert found["outside"] == 0
    assert measured(WORDS, WORDS[WORDS != "a"], False)["vanished"] == (WORDS == "a").mean()


def test_a_category_may_be_absent_from_a_few_rows_by_chance() -> None:
    column = Column(WORDS, WORDS[WORDS != "d"][:60], False)  # once in twenty times
    found = measure(*column.sides(), None)["vanished"]
    assert 0.04 < found < chance(*column.sides(), None, 1e-3)["vanished"]


def test_rare_categories_that_training_counts_as_missing_are_not_unseen() -> None:
    kept = pd.Series(WORDS).where(WORDS != "d", None)
    found = measured(kept, WORDS, False)
    assert found["unseen"] <= 1e-9
    assert found["distance"] == 0


def test_a_column_missing_throughout_on_either_side_can_be_measured() -> None:
    nothing = np.full(100, np.nan)
    assert measured(NUMBERS, nothing, True)["missing"] == 1
    assert measured(nothing, NUMBERS, True)["distance"] == pytest.approx(1)
    assert set(measured(nothing, nothing, True).values()) <= {0.0}
