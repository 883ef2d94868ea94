"""Faults of data as they happen, put into a month of flights; used by `benchmarks.watched`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Frame = Any  # a pandas DataFrame: pandas is in the project's environment, not in ours
HOUR, DAY = 60, 1440  # minutes

ROWS = "doubled"  # what is named when no column is at fault


@dataclass(frozen=True)
class Fault:
    """What happens to a month's rows, and what an alarm should name."""

    name: str
    named: tuple[str, ...]
    change: Callable[[Frame], Frame]


def with_column(name: str, make: Callable[[Any], Any]) -> Callable[[Frame], Frame]:
    """The rows with one column made from itself."""
    return lambda rows: rows.assign(**{name: make(rows[name])})


def swapped(first: str, second: str) -> Callable[[Frame], Frame]:
    """The rows with the values of two columns exchanged."""
    return lambda rows: rows.assign(**{first: rows[second], second: rows[first]})


def doubled(rows: Frame) -> Frame:
    """Every row twice."""
    return rows.loc[rows.index.repeat(2)]


def flipped(rows: Frame) -> Frame:
    """Late is on time, and the other way round."""
    return rows.assign(late=1 - rows["late"])


NONE = Fault("none", (), lambda rows: rows)
TEN = [
    Fault(
        "unit change: temperature in Celsius",
        ("temperature",),
        with_column("temperature", lambda values: ((values - 32) / 1.8).round(2)),
    ),
    Fault(
        "column nulled: dest",
        ("dest",),
        with_column("dest", lambda values: values.map(lambda _: None)),
    ),
    Fault(
        "category renamed: UA is United",
        ("carrier",),
        with_column("carrier", lambda values: values.replace("UA", "United")),
    ),
    Fault(
        "shifted clock: departure 4 hours late",
        ("departure_minute",),
        with_column("departure_minute", lambda values: (values + 4 * HOUR) % DAY),
    ),
    Fault(
        "swapped: temperature and dew_point",
        ("temperature", "dew_point"),
        swapped("temperature", "dew_point"),
    ),
    Fault(
        "stuck value: wind_speed",
        ("wind_speed",),
        with_column("wind_speed", lambda values: values * 0 + values.iloc[0]),
    ),
    Fault("truncated strings: dest", ("dest",), with_column("dest", lambda values: values.str[:2])),
    Fault("doubled rows", (ROWS,), doubled),
    Fault("missing airport: no JFK", ("origin",), lambda rows: rows[rows["origin"] != "JFK"]),
    Fault("labels flipped", ("late",), flipped),
]
HARDER = [
    Fault(
        "unit change: distance in kilometres",
        ("distance",),
        with_column("distance", lambda values: (values * 1.609344).round()),
    ),
    Fault(
        "half nulled: seats",
        ("seats",),
        lambda rows: rows.assign(seats=rows["seats"].where(rows.reset_index().index % 2 == 0)),
    ),
    Fault(
        "category renamed: US is another one, AA",
        ("carrier",),
        with_column("carrier", lambda values: values.replace("US", "AA")),
    ),
    Fault(
        "category renamed: AS (0.2 % of rows) is Alaska",
        ("carrier",),
        with_column("carrier", lambda values: values.replace("AS", "Alaska")),
    ),
    Fault(
        "shifted clock: departure 1 hour late",
        ("departure_minute",),
        with_column("departure_minute", lambda values: (values + HOUR) % DAY),
    ),
    Fault(
        "swapped: departure_minute and arrival_minute",
        ("departure_minute", "arrival_minute"),
        swapped("departure_minute", "arrival_minute"),
    ),
    Fault(
        "stuck value: precipitation, at its usual 0",
        ("precipitation",),
        with_column("precipitation", lambda values: values * 0),
    ),
    Fault("missing airport: no ATL", ("dest",), lambda rows: rows[rows["dest"] != "ATL"]),
]
