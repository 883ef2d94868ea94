"""The example's data: what a month of flights holds, and what it must not know."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.pipeline import validate
from {{ cookiecutter.__package }}.pipeline.compose import compose
from {{ cookiecutter.__package }}.sources.flights import source

from ... import customers, project

UNKNOWN_BEFORE_DEPARTURE = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}
WEATHER = {
    "temp": "temperature",
    "dewp": "dew_point",
    "humid": "humidity",
    "wind_dir": "wind_direction",
    "wind_speed": "wind_speed",
    "precip": "precipitation",
    "pressure": "pressure",
    "visib": "visibility",
}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole year, as the source writes it."""
    folder = tmp_path_factory.mktemp("flights")
    source.Flights().fetch(source.MONTHS, folder)
    return folder


@pytest.fixture(scope="module")
def data() -> config.Data:
    """conf/data/flights.yaml."""
    params = compose(project.ROOT / "conf", ["data=flights"])
    return config.check(params["data"], config.Data, "conf/")


def rows(raw: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        source = f"read_parquet('{raw.as_posix()}/*.parquet', filename = true)"
        connection.execute(f"CREATE VIEW flights AS FROM {source}")
        return connection.execute(query).fetchall()


def original(name: str, *columns: str) -> pd.DataFrame:
    return pd.read_csv(source._package_data() / name, usecols=columns or None)


def test_the_year_has_twelve_months_and_every_flight(raw: Path) -> None:
    assert [path.stem for path in sorted(raw.iterdir())] == source.Flights().offered()
    assert rows(raw, "SELECT count(*) FROM flights") == [(336_776,)]


def test_every_flight_has_a_key_of_its_own(raw: Path) -> None:
    assert rows(raw, "SELECT count(DISTINCT flight_id) FROM flights") == [(336_776,)]


def test_months_follow_one_another(raw: Path) -> None:
    spans = rows(
        raw,
        "SELECT min(scheduled_departure), max(scheduled_departure) "
        "FROM flights GROUP BY filename ORDER BY filename",
    )
    for (_, last), (first, _) in pairwise(spans):
        assert last < first


def test_the_same_month_is_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    source.Flights().fetch(["2013-11"], tmp_path)  # the clocks change, and an hour occurs twice
    name = "2013-11.parquet"
    assert (tmp_path / name).read_bytes() == (raw / name).read_bytes()


def test_nothing_is_known_that_happens_after_departure(raw: Path, data: config.Data) -> None:
    (names, *_) = zip(*rows(raw, "DESCRIBE flights"), strict=True)
    assert UNKNOWN_BEFORE_DEPARTURE.isdisjoint(names)
    assert set(names) == {
        data.roles.key,
        data.roles.time,
        data.roles.target,
        *data.columns,
        "filename",
    }


def test_the_label_is_an_arrival_fifteen_minutes_late(raw: Path) -> None:
    delay = original("flights.csv.zip", "arr_delay")["arr_delay"]
    expected = (int((delay >= 15).sum()), int((delay < 15).sum()), int(delay.isna().sum()))
    counted = "count(*) FILTER (late = 1), count(*) FILTER (late = 0), count(*) - count(late)"
    assert rows(raw, f"SELECT {counted} FROM flights") == [expected]


def test_the_weather_was_observed_an_hour_or_more_before_the_scheduled_hour(raw: Path) -> None:
    january = customers.read(raw / "2013-01.parquet")
    january["hour"] = january["scheduled_departure"].dt.floor("h")
    weather = original("weather.csv")
    weather["known_from"] = pd.to_datetime(weather["time_hour"]).dt.tz_localize(None)
    weather["known_from"] = (weather["known_from"] + pd.Timedelta(hours=1)).astype("datetime64[us]")
    joined = pd.merge_asof(
        january.sort_values("hour", kind="stable").astype({"hour": "datetime64[us]"}),
        weather.sort_values("known_from"),
        left_on="hour",
        right_on="known_from",
        by="origin",
        suffixes=("", "_observed"),
    )
    assert (joined["known_from"] <= joined["hour"]).sum() > 26_000
    for theirs, ours in WEATHER.items():
        observed = joined.get(f"{theirs}_observed", joined[theirs])
        pd.testing.assert_series_equal(
            joined[ours], observed, check_names=False, check_dtype=False, obj=ours
        )


def test_every_month_keeps_the_schema(raw: Path, data: config.Data) -> None:
    for path in sorted(raw.iterdir()):
        assert validate.problems(validate.profile(path, data), data) == []
