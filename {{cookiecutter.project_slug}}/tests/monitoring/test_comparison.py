from collections.abc import Callable

import msgspec
import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.monitoring.comparison import Comparison, compare, cut

from .. import customers

LIMITS = config.Monitoring(**customers.PARAMS["monitoring"])
ROWS = 3000
NUMERIC = {"heat": True, "low": True, "high": True, "steady": True, "code": False, "shop": False}
IMPORTANCE = {"heat": 1.0, "low": 1.0, "high": 1.0, "steady": 3.0, "code": 2.0, "shop": 0.0}
Change = Callable[[pd.DataFrame], pd.DataFrame]


def season(first: int, days: int, seed: int) -> pd.DataFrame:
    """Rows of some days of a year in which only the heat has its seasons."""
    random = np.random.default_rng(seed)
    day = np.sort(random.uniform(first, first + days, ROWS))
    low = random.gamma(4, 10, ROWS).round()
    return pd.DataFrame(
        {
            "time": pd.Timestamp("2024-01-01") + pd.to_timedelta(day, unit="D"),
            "heat": (10 - 15 * np.cos(day / 58) + random.normal(0, 3, ROWS)).round(1),
            "low": low,
            "high": low + random.gamma(2, 15, ROWS).round(),
            "steady": random.normal(size=ROWS),
            "code": random.choice(["x", "y", "z"], ROWS, p=[0.6, 0.3, 0.1]).astype(object),
            "shop": random.choice(["mall", "town", "web"], ROWS, p=[0.4, 0.3, 0.3]).astype(object),
        }
    )


REFERENCE = season(0, 180, 1)


def seen(change: Change = lambda rows: rows, time: str | None = "time") -> Comparison:
    """What is found in the month after the reference's."""
    return compare(REFERENCE, change(season(180, 30, 2)), NUMERIC, IMPORTANCE, time, LIMITS)


def test_another_season_is_no_fault() -> None:
    found = seen()
    assert found.broken == []
    assert {one.column for one in found.moved} <= {"heat"}
    assert next(one for one in found.findings if one.column == "heat").distance > 0.5


def test_without_a_time_the_season_is_what_it_looks_like() -> None:
    assert [one.column for one in seen(time=None).broken] == ["heat"]


def test_halves_of_the_reference_hardly_ever_give_an_alarm() -> None:
    alarms = 0
    for seed in range(40):
        order = np.random.default_rng(seed).permutation(ROWS)
        first, second = (REFERENCE.iloc[part] for part in np.array_split(order, 2))
        for time in ("time", None):
            alarms += bool(compare(first, second, NUMERIC, IMPORTANCE, time, LIMITS).moved)
    assert alarms <= 4  # 0.8 are expected of 80


@pytest.mark.parametrize(
    ("column", "change", "told"),
    [
        ("heat", lambda x: x * 1.8 + 32, "lie far outside the usual"),
        ("steady", lambda x: x.where(np.arange(len(x)) % 5 > 0), "missing in 20% of rows"),
        ("steady", lambda x: x + 1, "distributed quite otherwise, at a distance of 0."),
        ("steady", lambda x: x * 0 + 1.5, "100% of rows hold the one value 1.5"),
        ("low", lambda x: x + 0.5, "rows hold values never seen"),
        ("low", lambda x: x * 100, "lie far outside the usual"),
        ("code", lambda x: x.replace("y", "why"), "rows hold values never seen, most often 'why'"),
        ("code", lambda x: x.replace("z", "y"), "'z', usually in 10% of rows, has vanished"),
        ("shop", lambda x: x.str[:2], "values never seen, most often 'ma'"),
    ],
)
def test_a_broken_column_is_named_and_told(
    column: str, change: Callable[[pd.Series], pd.Series], told: str
) -> None:
    found = seen(lambda rows: rows.assign(**{column: change(rows[column])}))
    assert [one.column for one in found.broken] == [column]
    assert found.findings[0].column == column
    assert told in found.broken[0].fault


@pytest.mark.parametrize(("first", "second"), [("low", "high"), ("code", "shop")])
def test_two_columns_that_changed_places_are_both_named(first: str, second: str) -> None:
    found = seen(lambda rows: rows.rename(columns={first: second, second: first}))
    told = {one.column: one.fault for one in found.broken}
    assert set(told) == {first, second}
    assert told[first] == f"swapped with {second}, it seems"


def test_numbers_that_changed_places_are_found_by_which_is_the_larger() -> None:
    def alike(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(high=rows["low"] + 1)  # the two distributions are all but the same

    def changed(rows: pd.DataFrame) -> pd.DataFrame:
        return alike(rows).rename(columns={"low": "high", "high": "low"})

    found = compare(
        alike(REFERENCE), changed(season(180, 30, 2)), NUMERIC, IMPORTANCE, "time", LIMITS
    )
    assert {one.column for one in found.broken} == {"low", "high"}


def test_the_share_of_drift_is_weighted_by_importance() -> None:
    moved = seen(lambda rows: rows.assign(steady=rows["steady"] + 1))
    hardly = seen(lambda rows: rows.assign(shop="web"))
    assert moved.share == pytest.approx(3 / 8)
    assert hardly.share == 0
    assert [one.column for one in hardly.broken] == ["shop"]


def test_of_equal_faults_that_of_the_important_column_comes_first() -> None:
    found = seen(lambda rows: rows.assign(shop=None, heat=None, code=None))
    assert [one.column for one in found.broken] == ["code", "heat", "shop"]


def test_a_fault_that_can_be_told_comes_before_mere_distance() -> None:
    # As when a feed ends: its category is gone, and what it brought is distributed otherwise.
    found = seen(lambda rows: rows[rows["code"] != "z"].assign(steady=lambda x: x["steady"] + 1))
    assert [one.column for one in found.broken] == ["code", "steady"]


def test_the_prediction_comes_after_what_explains_it() -> None:
    numeric = NUMERIC | {"prediction": True}
    random = np.random.default_rng(3)
    before = REFERENCE.assign(prediction=random.random(ROWS))
    now = season(180, 30, 2).assign(prediction=5.0)
    now["steady"] = now["steady"].where(np.arange(ROWS) % 10 > 0)  # far less of a fault
    found = compare(before, now, numeric, IMPORTANCE, "time", LIMITS)
    assert [one.column for one in found.broken] == ["steady", "prediction"]
    assert found.share == pytest.approx(3 / 8)


def test_what_went_missing_before_may_go_missing_again() -> None:
    def holed(rows: pd.DataFrame, first: str, last: str) -> pd.DataFrame:
        out = rows["time"].between(first, last) & (np.arange(ROWS) % 3 == 0)
        return rows.assign(steady=rows["steady"].mask(out))

    now = holed(season(180, 30, 2), "2024-06", "2024-08")
    before = holed(REFERENCE, "2024-02", "2024-03")
    assert compare(before, now, NUMERIC, IMPORTANCE, "time", LIMITS).broken == []
    (found,) = compare(REFERENCE, now, NUMERIC, IMPORTANCE, "time", LIMITS).broken
    assert (found.column, found.statistic) == ("steady", "missing")


def test_many_rows_do_not_make_drift_of_a_trifle() -> None:
    random = np.random.default_rng(3)
    before, now = (pd.DataFrame({"steady": random.normal(x, 1, 200_000)}) for x in (0.0, 0.05))
    assert compare(before, now, {"steady": True}, {}, None, LIMITS).moved == []
    strict = msgspec.structs.replace(LIMITS, min_distance=0.0)
    assert compare(before, now, {"steady": True}, {}, None, strict).moved


def test_windows_of_the_reference_are_as_long_as_the_current_sample() -> None:
    windows = cut(REFERENCE, season(180, 30, 2), "time")
    assert len(windows) == 10
    for rows in windows:
        days = np.ptp(REFERENCE["time"][rows].to_numpy()) / np.timedelta64(1, "D")
        assert 28 < days <= 30
    assert cut(REFERENCE, season(180, 30, 2).assign(time=None), "time") == []
    text = season(180, 30, 2).assign(time=lambda rows: rows["time"].astype(str))
    assert len(cut(REFERENCE, text, "time")) == 10
