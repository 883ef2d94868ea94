import sqlite3
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.sources.query import Query, database


@pytest.fixture
def address(tmp_path: Path) -> str:
    """A database with a row for each of a hundred days from 2024-01-15 on."""
    path = tmp_path / "made-up.db"
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE visits (id INTEGER, "when" TEXT, weight REAL, note TEXT)')
        for number in range(100):
            day = date(2024, 1, 15) + timedelta(days=number)
            row = (number, day.isoformat(), number / 3, None if number % 2 else 'it\'s, "ok"')
            connection.execute("INSERT INTO visits VALUES (?, ?, ?, ?)", row)
    connection.close()
    return f"sqlite:///{path}"


def rows(path: Path) -> list[Any]:
    with duckdb.connect() as connection:
        return connection.execute("FROM read_parquet(?)", [path.as_posix()]).fetchall()


def test_periods_that_are_over_are_partitions(address: str) -> None:
    query = Query(address, "SELECT * FROM visits;", time="when")
    assert query.offered() == ["2024-01", "2024-02", "2024-03"]  # April has not ended
    assert Query(address, "SELECT * FROM visits", "when", "quarter").offered() == ["2024-q1"]


def test_a_period_without_rows_is_none(address: str) -> None:
    sql = "SELECT * FROM visits WHERE \"when\" NOT LIKE '2024-02%' AND '10:30' <> ':x'"
    assert Query(address, sql, time="when").offered() == ["2024-01", "2024-03"]


def test_a_partition_holds_the_rows_of_its_period_as_text(address: str, tmp_path: Path) -> None:
    Query(address, "SELECT * FROM visits", time="when").fetch(["2024-02"], tmp_path)
    found = rows(tmp_path / "2024-02.parquet")
    assert [row[1] for row in found] == [f"2024-02-{day:02d}" for day in range(1, 30)]
    assert found[0] == ("17", "2024-02-01", str(17 / 3), None)
    assert found[1][3] == 'it\'s, "ok"'


def test_without_time_there_is_one_partition(address: str, tmp_path: Path) -> None:
    query = Query(address, "SELECT id FROM visits")
    assert query.offered() == ["all"]
    query.fetch(["all"], tmp_path)
    assert len(rows(tmp_path / "all.parquet")) == 100


def test_rows_are_numbered_in_an_order_of_their_own(address: str, tmp_path: Path) -> None:
    found = []
    for order in ("ASC", "DESC"):
        sql = f"SELECT note, id FROM visits ORDER BY id {order}"
        Query(address, sql, row_id="row_id").fetch(["all"], tmp_path)
        found.append((tmp_path / "all.parquet").read_bytes())
    assert found[0] == found[1]
    assert [row[0] for row in rows(tmp_path / "all.parquet")][:2] == ["all-1", "all-2"]


def test_the_address_may_be_in_the_environment(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MADE_UP_DATABASE", address)
    assert Query("MADE_UP_DATABASE", "SELECT * FROM visits").offered() == ["all"]
    assert database("MADE_UP_DATABASE") == address
    monkeypatch.delenv("MADE_UP_DATABASE")
    with pytest.raises(Refusal, match="set the environment variable MADE_UP_DATABASE"):
        database("MADE_UP_DATABASE")


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(Refusal, match="holds a password; put it into an environment") as refusal:
        database("postgresql://me:geheim@localhost/db")
    assert "geheim" not in str(refusal.value)


def test_a_query_that_fails_is_refused_in_a_sentence(address: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="failed: no such table: nowhere"):
        Query(address, "SELECT * FROM nowhere").fetch(["all"], tmp_path)
    with pytest.raises(Refusal, match="of nosuch://x failed"):
        Query("nosuch://x", "SELECT 1").fetch(["all"], tmp_path)
    with pytest.raises(ValueError, match="period is 'decade'"):
        Query(address, "SELECT 1", period="decade")  # type: ignore[arg-type]
