"""What each column of a table holds, found in bounded memory and time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from ..table import literal, quoted
from ..tables.reading import connected
from .dates import Written, written

SAMPLE = 20_000  # rows, spread over the table, that tell what takes long to find out
BATCH = 50  # columns in one query
SHOWN = 60  # different values listed at most
CELLS = 5_000_000  # whose different values are counted at a time
LOOKED_AT = 100  # values that tell whether a closer look for dates is worth it


@dataclass
class Facts:
    """One column.

    `distinct` is exact up to `SHOWN` and wherever nearly every value differs, else within a few
    percent; shares are of the values that are there.
    """

    name: str
    type: str
    rows: int
    present: int
    distinct: int
    numbers: float
    whole: float
    low: float | None
    high: float | None
    coded: float
    length: float
    words: float
    rising: bool
    values: list[tuple[str, int]] = field(default_factory=list)
    dates: Written | None = None

    @property
    def missing(self) -> float:
        """Share of rows without a value."""
        return 1 - self.present / self.rows if self.rows else 1.0

    @property
    def unique(self) -> bool:
        """Whether no value comes twice."""
        return self.present > 0 and self.distinct == self.present


@dataclass
class Profile:
    """A table: its files by partition, its columns, and a sample of its rows."""

    parts: dict[str, Path]
    scratch: Path
    rows: int
    columns: dict[str, Facts]

    @property
    def source(self) -> str:
        """All rows, for a FROM clause."""
        return all_of(list(self.parts.values()))

    @property
    def sample(self) -> str:
        """The sample, for a FROM clause, in the order of the rows."""
        return f"read_parquet({literal((self.scratch / 'sample.parquet').as_posix())})"


def all_of(paths: Sequence[Path]) -> str:
    """The rows of some files, for a FROM clause."""
    return f"read_parquet([{', '.join(literal(path.as_posix()) for path in paths)}])"


def profile(parts: dict[str, Path], scratch: Path) -> Profile:
    """Look at all columns of a table that lies in some Parquet files."""
    found = Profile(parts, scratch, 0, {})
    with connected(scratch) as connection:
        described = connection.execute(f"DESCRIBE SELECT * FROM {found.source}").fetchall()
        ((found.rows,),) = connection.execute(f"SELECT count(*) FROM {found.source}").fetchall()
        step = max(1, -(-found.rows // SAMPLE))
        connection.sql(
            'SELECT * EXCLUDE ("row number") FROM (SELECT *, row_number() OVER () AS '
            f'"row number" FROM {found.source}) WHERE hash("row number") % {step} = 0'
        ).write_parquet((scratch / "sample.parquet").as_posix())
        names = [(name, type_) for name, type_, *_ in described]
        for start in range(0, len(names), BATCH):
            for facts in _measured(connection, found, names[start : start + BATCH]):
                found.columns[facts.name] = facts
        different = [one for one in found.columns.values() if one.distinct > 0.8 * one.present]
        at_once = max(1, min(BATCH, CELLS // max(1, found.rows)))
        for start in range(0, len(different), at_once):
            _counted(connection, found, different[start : start + at_once])
        for facts in found.columns.values():
            _closer(connection, found, facts)
    return found


def _measured(
    connection: duckdb.DuckDBPyConnection, table: Profile, names: Sequence[tuple[str, str]]
) -> Iterator[Facts]:
    exact, sampled = [], []
    for name, _ in names:
        column = quoted(name)
        number = f"TRY_CAST({column} AS DOUBLE)"
        text = f"{column}::VARCHAR"
        exact += [f"count({column})", f"approx_count_distinct({column})", f"count({number})"]
        exact += [f"min({number})", f"max({number})"]
        sampled += [
            f"count({column})",
            f"count(*) FILTER ({number} = floor({number}))",
            f"count(*) FILTER (regexp_full_match({text}, '0[0-9]+'))",
            f"avg(length({text}))",
            f"avg(1 + length({text}) - length(replace({text}, ' ', '')))",
        ]
    (all_,) = connection.execute(f"SELECT {', '.join(exact)} FROM {table.source}").fetchall()
    (some,) = connection.execute(f"SELECT {', '.join(sampled)} FROM {table.sample}").fetchall()
    for place, (name, type_) in enumerate(names):
        present, distinct, numbers, low, high = all_[place * 5 : place * 5 + 5]
        seen, whole, coded, length, words = some[place * 5 : place * 5 + 5]
        yield Facts(
            name,
            type_,
            table.rows,
            present,
            min(distinct, present),
            numbers / present if present else 0.0,
            whole / seen if seen else 0.0,
            low,
            high,
            coded / seen if seen else 0.0,
            length or 0.0,
            words or 0.0,
            False,
        )


def _counted(connection: duckdb.DuckDBPyConnection, table: Profile, some: list[Facts]) -> None:
    """Exact numbers of different values, and whether they rise from row to row like a counter."""
    columns = [quoted(facts.name) for facts in some]
    counts = ", ".join(f"count(DISTINCT {column})" for column in columns)
    (distinct,) = connection.execute(f"SELECT {counts} FROM {table.source}").fetchall()
    numbers = [f"TRY_CAST({column} AS DOUBLE)" for column in columns]
    steps = ", ".join(f"{one} - lag({one}) OVER () AS s{n}" for n, one in enumerate(numbers))
    falls = ", ".join(f"count(*) FILTER (s{n} < 0)" for n in range(len(columns)))
    (fallen,) = connection.execute(
        f"SELECT {falls} FROM (SELECT {steps} FROM {table.sample})"
    ).fetchall()
    for facts, count, fall in zip(some, distinct, fallen, strict=True):
        facts.distinct = count
        facts.rising = facts.whole == 1.0 and fall == 0


def _closer(connection: duckdb.DuckDBPyConnection, table: Profile, facts: Facts) -> None:
    column = quoted(facts.name)
    if facts.distinct <= min(2 * SHOWN, 0.8 * facts.present):
        facts.values = frequent(connection, table.source, facts.name, SHOWN + 1)
        if len(facts.values) <= SHOWN:
            facts.distinct = len(facts.values)
    words = facts.type == "VARCHAR" and facts.numbers < 0.95
    if facts.present and (words or (facts.whole == 1.0 and (facts.low or 0) > 19_000_000)):
        query = f"SELECT {column}::VARCHAR FROM {table.sample} WHERE {column} IS NOT NULL"
        some = [value for (value,) in connection.execute(f"{query} LIMIT {LOOKED_AT}").fetchall()]
        facts.dates = written(connection, table.sample, facts.name, some)


def frequent(
    connection: duckdb.DuckDBPyConnection, source: str, name: str, most: int
) -> list[tuple[str, int]]:
    """The most frequent values of a column as text, with their counts."""
    column = quoted(name)
    found: list[tuple[Any, int]] = connection.execute(
        f"SELECT {column}::VARCHAR, count(*) FROM {source} WHERE {column} IS NOT NULL "
        f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {most}"
    ).fetchall()
    return [(str(value), count) for value, count in found]
