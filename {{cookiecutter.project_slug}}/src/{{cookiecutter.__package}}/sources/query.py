"""A SQL query as the source: each closed period of its time column is a partition."""

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..cli import Refusal
from ..tables import periods
from ..tables.dialect import Dialect
from ..tables.reading import to_parquet

if TYPE_CHECKING:
    from sqlalchemy import Connection

WHOLE = "all"
BATCH = 10_000  # rows held at a time


class Query:
    """Rows of a database that SQLAlchemy knows.

    Attributes:
        address: an SQLAlchemy address without a password, or the name of the environment variable
            that holds one.
        sql: the query; its columns are the table's.
        time: the column that says when a row came about. With it every period that is over, which
            means that a later one has begun, is a partition; null makes all rows the partition
            `all`.
        period: day, week, month, quarter or year.
        row_id: name of a column to add, which numbers the rows; null where the table has a key.
    """

    def __init__(
        self,
        address: str,
        sql: str,
        time: str | None = None,
        period: periods.Period = "month",
        row_id: str | None = None,
    ) -> None:
        self.address = address
        # A colon of the query's own, as in '10:30', is no parameter.
        self.rows = f"({sql.strip().rstrip(';').replace(':', chr(92) + ':')}) rows_"
        self.time = time
        self.period = period
        self.row_id = row_id
        if period not in periods.PERIODS:
            raise ValueError(f"period is {period!r}, not one of {', '.join(periods.PERIODS)}")

    def offered(self) -> list[str]:
        """Names of the periods that are over and have rows."""
        return list(self._spans())

    def fetch(self, partitions: list[str], folder: Path) -> None:
        """Write each as Parquet, all columns as text, in an order that the rows alone decide."""
        spans = self._spans()
        with TemporaryDirectory() as scratch, self._connected() as connection:
            for partition in partitions:
                rows = Path(scratch) / f"{partition}.csv"
                self._write(connection, spans[partition], rows)
                target = folder / f"{partition}.parquet"
                numbered = (self.row_id, partition) if self.row_id else None
                text = Dialect("utf-8", ",")
                to_parquet(rows, target, Path(scratch), text, numbered, ordered=True)
                rows.unlink()

    def _spans(self) -> dict[str, tuple[date, date] | None]:
        if self.time is None:
            return {WHOLE: None}
        with self._connected() as connection:
            column = connection.dialect.identifier_preparer.quote(self.time)
            ends = f"SELECT min({column}), max({column}) FROM {self.rows}"
            ((first, last),) = _rows(connection, ends)
            if first is None:
                return {}
            newest = periods.start(_day(last), self.period)
            some = f"SELECT count(*) FROM {self.rows} {self._within(connection)}"
            found: dict[str, tuple[date, date] | None] = {}
            for begins in periods.between(_day(first), newest, self.period):
                span = begins, periods.following(begins, self.period)
                ((count,),) = _rows(connection, some, span)
                if count and begins < newest:
                    found[periods.name(begins, self.period)] = span
        return found

    def _within(self, connection: "Connection") -> str:
        column = connection.dialect.identifier_preparer.quote(str(self.time))
        return f"WHERE {column} >= :since AND {column} < :until"

    def _write(self, connection: "Connection", span: tuple[date, date] | None, path: Path) -> None:
        where = self._within(connection) if span else ""
        result = _execute(connection, f"SELECT * FROM {self.rows} {where}", span)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(result.keys())
            for batch in result.partitions(BATCH):
                writer.writerows(["" if value is None else value for value in row] for row in batch)

    @contextmanager
    def _connected(self) -> Iterator["Connection"]:
        from sqlalchemy import create_engine
        from sqlalchemy.exc import SQLAlchemyError

        engine = None
        try:
            engine = create_engine(database(self.address))
            with engine.connect() as connection:
                yield connection.execution_options(stream_results=True)
        except (SQLAlchemyError, ImportError) as error:
            said = " ".join(str(getattr(error, "orig", None) or error).split())
            raise Refusal(f"the query of {self.address} failed: {said[:300]}") from None
        finally:
            if engine is not None:
                engine.dispose()


def database(address: str) -> str:
    """The SQLAlchemy address that `address` is or names; `Refusal` for one with a password."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if "://" not in address:
        found = os.environ.get(address)
        if not found:
            raise Refusal(f"set the environment variable {address} to the database's address")
        return found
    try:
        password = make_url(address).password
    except ArgumentError as error:
        raise Refusal(f"{address} is no address of a database: {error}") from None
    if password:
        raise Refusal(
            "the database's address holds a password; put it into an environment variable, such "
            "as DATABASE_URL, and give that name as the address"
        )
    return address


def _rows(connection: "Connection", sql: str, span: tuple[date, date] | None = None) -> list[Any]:
    return list(_execute(connection, sql, span).fetchall())


def _execute(connection: "Connection", sql: str, span: tuple[date, date] | None) -> Any:
    from sqlalchemy import text

    if span is None:
        return connection.execute(text(sql))
    # SQLite has no dates: there they are text.
    bounds = map(date.isoformat, span) if connection.dialect.name == "sqlite" else span
    return connection.execute(text(sql), dict(zip(("since", "until"), bounds, strict=True)))


def _day(moment: Any) -> date:
    if isinstance(moment, datetime):
        return moment.date()
    if isinstance(moment, date):
        return moment
    try:
        return datetime.fromisoformat(str(moment)).date()
    except ValueError:
        raise Refusal(f"the query's time column holds {moment!r}, which is no date") from None
