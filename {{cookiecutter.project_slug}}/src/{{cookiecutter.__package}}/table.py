"""Reading and writing Parquet through DuckDB, in bounded memory."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from .config import Kind, Roles

if TYPE_CHECKING:
    import pandas as pd


def quoted(*names: str) -> str:
    """Column names as a SQL list, whatever characters they hold."""
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


def as_number(name: str) -> str:
    """A column as SQL of type DOUBLE, in which NaN is missing."""
    return f"nullif({quoted(name)}::DOUBLE, 'NaN'::DOUBLE)"


def canonical(kinds: Mapping[str, Kind]) -> str:
    """Inputs as a SQL list in the form that models and requests know: numbers and text."""
    return ", ".join(
        f"{as_number(name) if kind == 'numeric' else quoted(name) + '::VARCHAR'} AS {quoted(name)}"
        for name, kind in kinds.items()
    )


def rows(query: str, *values: object) -> list[tuple[Any, ...]]:
    """All rows of a query's result."""
    with duckdb.connect() as connection:
        return connection.execute(query, list(values)).fetchall()


def inputs(path: Path, roles: Roles) -> dict[str, Kind]:
    """Name and kind of each input in a file of the split stage: text is categorical."""
    found = rows("DESCRIBE SELECT * FROM read_parquet(?)", path.as_posix())
    return {
        name: "categorical" if type_ == "VARCHAR" else "numeric"
        for name, type_, *_ in found
        if name not in (roles.key, roles.time, roles.target)
    }


def columns(path: Path, names: Sequence[str]) -> dict[str, list[Any]]:
    """Columns of one Parquet file as lists, with None where a value is missing."""
    found = rows(f"SELECT {quoted(*names)} FROM read_parquet(?)", path.as_posix())
    return dict(zip(names, map(list, zip(*found, strict=True)), strict=True))


def frame(path: Path, names: Sequence[str]) -> "pd.DataFrame":
    """Columns of one Parquet file as the DataFrame that scikit-learn wants."""
    with duckdb.connect() as connection:
        return connection.execute(
            f"SELECT {quoted(*names)} FROM read_parquet(?)", [path.as_posix()]
        ).df()


def write(query: str, path: Path, *values: object) -> int:
    """Stream a query's result into a Parquet file; the same rows give the same bytes.

    Returns the number of rows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.sql(query, params=list(values)).write_parquet(path.as_posix())
        counted = connection.execute("SELECT count(*) FROM read_parquet(?)", [path.as_posix()])
        (count,) = counted.fetchall()[0]
    return int(count)
