"""Reading and writing Parquet through DuckDB, in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from . import files, paths
from .cli import Refusal
from .config import Class, Column, Kind
from .features import CannotMake, maker

if TYPE_CHECKING:
    import pandas as pd

SPECIAL: Any = "special"  # a missing value is passed to a function, which has to deal with it


def quoted(*names: str) -> str:
    """Column names as a SQL list, whatever characters they hold."""
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(value: str) -> str:
    """A text as SQL."""
    return "'" + value.replace("'", "''") + "'"


def as_number(name: str) -> str:
    """A column as SQL of type DOUBLE, in which NaN and what is no number are missing."""
    return _number(quoted(name))


def _number(value: str) -> str:
    return f"nullif(TRY_CAST({value} AS DOUBLE), 'NaN'::DOUBLE)"


def as_code(value: str, classes: Sequence[Class] | None) -> str:
    """A target as SQL: the code of its class, or without classes its number; else missing."""
    if classes is None:
        return _number(value)
    if all(isinstance(one, int) for one in classes):
        return f"(list_position({list(classes)}::DOUBLE[], TRY_CAST({value} AS DOUBLE)) - 1)"
    texts = ", ".join(literal(str(one)) for one in classes)
    return f"(list_position([{texts}], trim({value}::VARCHAR)) - 1)"


def canonical(asked: Mapping[str, Column]) -> str:
    """Columns as a SQL list in the form that models and requests know: numbers and text."""
    return ", ".join(
        f"{as_number(name) if column.type == 'numeric' else quoted(name) + '::VARCHAR'} "
        f"AS {quoted(name)}"
        for name, column in asked.items()
    )


def derived(columns: Mapping[str, Column]) -> str:
    """The columns that functions make, as a SQL list with a comma before each.

    They are made from `canonical` ones; `rows` and `write` know the functions when told.
    """
    return "".join(
        f", {_function(name)}({quoted(*column.of)}) AS {quoted(name)}"
        for name, column in columns.items()
        if column.function
    )


def _function(name: str) -> str:
    return quoted(f"make {name}")


def _register(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, Column]) -> None:
    for name, column in columns.items():
        if column.function:
            numeric = column.type == "numeric"
            make = maker(name, column.function, numeric, "conf/data/")
            result: Any = "DOUBLE" if numeric else "VARCHAR"
            connection.create_function(
                f"make {name}", make, return_type=result, null_handling=SPECIAL
            )


@contextmanager
def _knowing(functions: Mapping[str, Column] | None) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        _register(connection, functions or {})
        try:
            yield connection
        except duckdb.InvalidInputException as error:
            _, found, reason = str(error).partition(f"{CannotMake.__name__}: ")
            if not found:
                raise
            raise Refusal(f"conf/data/: {' '.join(reason.split())}") from None


def rows(
    query: str, *values: object, functions: Mapping[str, Column] | None = None
) -> list[tuple[Any, ...]]:
    """All rows of a query's result.

    `functions` are the columns whose functions the query calls, see `derived`; `Refusal` when one
    of them fails.
    """
    with _knowing(functions) as connection:
        return connection.execute(query, list(values)).fetchall()


def inputs() -> dict[str, Kind]:
    """Name and kind of each input in the files of the split stage."""
    found: dict[str, Kind] = files.read_json(paths.COLUMNS)
    return found


def columns(path: Path, names: Sequence[str]) -> dict[str, list[Any]]:
    """Columns of one Parquet file as lists, with None where a value is missing."""
    if not names:
        return {}
    found = rows(f"SELECT {quoted(*names)} FROM read_parquet(?)", path.as_posix())
    return by_name(names, found)


def by_name(names: Sequence[str], found: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Rows as a list for each column."""
    columns = map(list, zip(*found, strict=True)) if found else ([] for _ in names)
    return dict(zip(names, columns, strict=True))


def frame(path: Path, names: Sequence[str]) -> "pd.DataFrame":
    """Columns of one Parquet file as the DataFrame that scikit-learn wants."""
    with duckdb.connect() as connection:
        return connection.execute(
            f"SELECT {quoted(*names)} FROM read_parquet(?)", [path.as_posix()]
        ).df()


def write(
    query: str, path: Path, *values: object, functions: Mapping[str, Column] | None = None
) -> int:
    """Stream a query's result into a Parquet file; the same rows give the same bytes.

    Returns the number of rows. `functions` as for `rows`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _knowing(functions) as connection:
        connection.sql(query, params=list(values)).write_parquet(path.as_posix())
        counted = connection.execute("SELECT count(*) FROM read_parquet(?)", [path.as_posix()])
        (count,) = counted.fetchall()[0]
    return int(count)
