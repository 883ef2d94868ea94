"""The time column, and partitions by time."""

import re
from dataclasses import dataclass
from datetime import date
from math import log
from pathlib import Path

from ..cli import Refusal
from ..table import quoted
from ..tables import periods
from ..tables.reading import connected
from .profile import Facts, Profile, all_of
from .roles import Role

HAPPENED = re.compile(
    r"date|time|day|month|week|created|opened|signed|start|begin|order|event|_at$|_on$|^ds$|when",
    re.IGNORECASE,
)
NOT_THEN = re.compile(
    r"birth|born|dob|built|founded|expir|until|end|updated|modified|closed|cancel|left|churn|due",
    re.IGNORECASE,
)
MISSING = 0.05  # share of rows that may lack the time
LATER = 0.9  # share of rows in which a date lies after the time, of one known afterwards
PARTITIONS = (3, 60)
WISHED = 15
ROWS = 20  # in a partition, in the middle
UNDATED = "0000-undated"  # sorts first, so that it never judges


@dataclass(frozen=True)
class Span:
    """One partition: its name, its first day, its rows."""

    name: str
    first: date | None
    rows: int


def moment(facts: Facts) -> str:
    """A date column as SQL of type TIMESTAMP."""
    if facts.dates:
        return facts.dates.moment(facts.name)
    return f"{quoted(facts.name)}::TIMESTAMP"


def time_column(table: Profile, roles: dict[str, Role], wished: str | None) -> str | None:
    """The column that says when a row came about; None when no date does.

    `wished` names it; `none` stands for none at all.
    """
    dates = [name for name, role in roles.items() if role.type == "date"]
    if wished == "none":
        return None
    if wished:
        if wished not in dates:
            raise Refusal(f"TIME={wished}: no column of that name holds dates")
        return wished

    def fitness(name: str) -> tuple[int, float]:
        named = bool(HAPPENED.search(name)) - 2 * bool(NOT_THEN.search(name))
        return named, -table.columns[name].missing

    fit = [
        name for name in dates if table.columns[name].missing <= MISSING and fitness(name)[0] >= 0
    ]
    return max(fit, key=fitness, default=None)


def known_later(table: Profile, roles: dict[str, Role], time: str) -> dict[str, str]:
    """The reason for each other date that lies after the time in most rows that have both."""
    others = [name for name, role in roles.items() if role.type == "date" and name != time]
    found = {}
    with connected(table.scratch) as connection:
        begins = moment(table.columns[time])
        for name in others:
            later = f"{moment(table.columns[name])} > {begins}"
            query = f"SELECT count({later}), count(*) FILTER ({later}) FROM {table.sample}"
            ((both, after),) = connection.execute(query).fetchall()
            if both and after >= LATER * both:
                found[name] = f"lies after {time}: known only afterwards"
    return found


def period_of(table: Profile, time: str) -> periods.Period | None:
    """The period that parts the rows into about `WISHED` partitions; None when none does."""
    counts: dict[periods.Period, list[int]] = {}
    with connected(table.scratch) as connection:
        days = connection.execute(
            f"SELECT ({moment(table.columns[time])})::DATE AS day, count(*) FROM {table.source} "
            "GROUP BY 1 HAVING day IS NOT NULL ORDER BY 1"
        ).fetchall()
    for period in periods.PERIODS:
        by: dict[date, int] = {}
        for day, rows in days:
            first = periods.start(day, period)
            by[first] = by.get(first, 0) + rows
        counts[period] = sorted(by.values())
    fit = [
        period
        for period, rows in counts.items()
        if PARTITIONS[0] <= len(rows) <= PARTITIONS[1] and rows[len(rows) // 2] >= ROWS
    ]
    return min(fit, key=lambda one: abs(log(len(counts[one]) / WISHED)), default=None)


def part(table: Profile, time: str, period: periods.Period, folder: Path) -> dict[str, Path]:
    """Write the rows of each period as a Parquet file, the time as a moment; the files by name."""
    column, when = quoted(time), moment(table.columns[time])
    found = {}
    with connected(table.scratch) as connection:
        begins = f"date_trunc('{period}', {when})::DATE"
        firsts = connection.execute(
            f"SELECT DISTINCT {begins} FROM {table.source} ORDER BY 1 NULLS FIRST"
        )
        for (first,) in firsts.fetchall():
            name = periods.name(first, period) if first else UNDATED
            path = folder / f"{name}.parquet"
            where = f"{begins} = DATE '{first}'" if first else f"{when} IS NULL"
            connection.sql(
                f"SELECT * REPLACE ({when} AS {column}) FROM {table.source} WHERE {where}"
            ).write_parquet(path.as_posix())
            found[name] = path
    return found


def in_order(table: Profile, time: str) -> bool:
    """Whether the files follow one another in time as they do by name."""
    last = None
    with connected(table.scratch) as connection:
        for name in sorted(table.parts):
            when = moment(table.columns[time])
            ends = f"SELECT min({when}), max({when}) FROM {all_of([table.parts[name]])}"
            ((first, latest),) = connection.execute(ends).fetchall()
            if first is None or (last is not None and first < last):
                return False
            last = latest
    return True
