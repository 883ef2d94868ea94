"""What is decided about tables, and which are refused."""

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.__package }}.adopt import arrivals
from {{ cookiecutter.__package }}.adopt.plan import Plan, plan
from {{ cookiecutter.__package }}.cli import Refusal

from . import tables
from .tables import Row


def decided(
    folder: Path, rows: list[Row] | Path, target: str, time: str | None = None, **written: Any
) -> Plan:
    data = rows if isinstance(rows, Path) else tables.write(rows, folder / "table.csv", **written)
    scratch = folder / "scratch"
    scratch.mkdir()
    return plan(arrivals.files(str(data), scratch), "table", target, time, scratch)


def without(rows: list[Row], *names: str) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def types(found: Plan) -> dict[str, str]:
    return {name: role.type for name, role in found.roles.items()}


def test_each_column_has_a_role_and_a_reason(tmp_path: Path) -> None:
    found = decided(tmp_path, tables.customers(), "left")
    assert types(found) == {
        "age": "numeric",
        "plan": "categorical",
        "spend €": "numeric",
        "left on": "leaking",
        "notes": "text",
        "city": "categorical",
        "always": "constant",
        "never": "constant",
        "score": "leaking",
    }
    assert (found.key, found.time, found.group) == ("customer_id", "signed up", None)
    assert found.roles["score"].why == "alone predicts left with AUC 1.000"
    assert "values, of which the 200 most frequent count" in found.roles["city"].why
    assert all(role.why for role in found.roles.values())


def test_a_table_with_time_is_parted_by_it_and_the_newest_judge(tmp_path: Path) -> None:
    found = decided(tmp_path, tables.customers(), "left")
    assert len(found.partitions) == 24
    assert sorted(found.partitions)[0] == "2022-01"
    assert found.split.holdout_partitions == 5
    assert {path.parent.as_posix() for path in found.imported} == {"data/source"}
    assert found.settings == {"address": "data/source"}


def test_time_can_be_named_or_forbidden(tmp_path: Path) -> None:
    found = decided(tmp_path, tables.customers(), "left", time="none")
    assert (found.time, found.split.holdout_partitions) == (None, None)
    assert types(found)["signed up"] == "date"
    with pytest.raises(Refusal, match="TIME=age: no column of that name holds dates"):
        decided(tmp_path / "again", tables.customers(), "left", time="age")


def test_a_date_that_lies_after_the_time_is_known_afterwards(tmp_path: Path) -> None:
    rows = [
        {**row, "closed": f"2030-01-{n % 28 + 1:02d}"} for n, row in enumerate(tables.customers())
    ]
    found = decided(tmp_path, rows, "left", time="signed up")
    assert found.roles["closed"].why == "lies after signed up: known only afterwards"


def test_a_table_without_key_has_its_rows_numbered(tmp_path: Path) -> None:
    rows = without(tables.customers(), "customer_id")
    found = decided(tmp_path, [{"row_id": 1, **row} for row in rows], "left")
    assert (found.key, found.settings["row_id"]) == ("row_id_2", "row_id_2")


def test_rows_of_one_entity_stay_together(tmp_path: Path) -> None:
    rows = without(tables.customers(), "customer_id", "signed up", "left on")
    found = decided(tmp_path, [{"patient_id": n % 90, **row} for n, row in enumerate(rows)], "left")
    assert found.group == "patient_id"
    assert types(found)["patient_id"] == "identifier"


def labelled(values: list[Any]) -> list[Row]:
    chance = random.Random(3)  # noqa: S311
    return [{"a": chance.random(), "b": chance.choice("xyz"), "y": value} for value in values]


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["no", "yes"] * 50, "binary", ["no", "yes"]),
        (["nein", "ja"] * 50, "binary", ["nein", "ja"]),
        (["True", "False"] * 50, "binary", ["False", "True"]),
        (["1.0", "0.0", ""] * 50, "binary", [0, 1]),
        ([2, 1] * 50, "binary", [1, 2]),
        (["c", "a", "b"] * 50, "multiclass", ["a", "b", "c"]),
        ([3, 1, 2, 5] * 50, "multiclass", [1, 2, 3, 5]),
        ([*range(9), *[1] * 60], "regression", None),  # each is too rare for a class
        ([n / 7 for n in range(99)], "regression", None),
        (list(range(99)), "regression", None),
    ],
)
def test_the_task_follows_from_the_target(
    tmp_path: Path, values: list[Any], task: str, classes: list[Any] | None
) -> None:
    found = decided(tmp_path, labelled(values), "y")
    assert (found.target.task, found.target.classes) == (task, classes)


@pytest.mark.parametrize(
    ("values", "target", "said"),
    [
        (["no", "yes"] * 2, "y", "4 rows have a 'y'; at least 50 are needed"),
        (["no"] * 99, "y", "'y' is always 'no'; there is nothing to learn"),
        (["no", "yes"] * 50, "z", "no column 'z'"),
        (["no", "yes"] * 50, "bb", "no column 'bb'; did you mean 'b'"),
        (["no", *["yes"] * 60], "y", "class 'no' of 'y' has 1 rows; 5 of each"),
        (
            [f"k{n % 60}" for n in range(300)],
            "y",
            "'y' has 60 different values; 50 classes at most",
        ),
        ([*range(99), "much"], "y", "'y' holds numbers and 'much'"),
        ([f"2024-01-{n % 28 + 1:02d}" for n in range(99)], "y", "'y' is a date"),
        (["no", "yes", *[""] * 8] * 30, "y", "'y' is missing in 80% of the rows"),
    ],
)
def test_what_cannot_be_learnt_is_refused_in_a_sentence(
    tmp_path: Path, values: list[Any], target: str, said: str
) -> None:
    with pytest.raises(Refusal, match=said):
        decided(tmp_path, labelled(values), target)


def test_a_table_of_identifiers_is_refused(tmp_path: Path) -> None:
    rows = [{"id": n, "y": "ab"[n % 2]} for n in range(99)]
    with pytest.raises(Refusal, match="no column is left to learn from"):
        decided(tmp_path, rows, "y")


def test_a_copy_of_a_number_is_a_leak_even_in_other_units(tmp_path: Path) -> None:
    rows = labelled([n**2 for n in range(400)])
    rows = [{**row, "log": f"{len(str(row['y'])) + n / 400:.4f}"} for n, row in enumerate(rows)]
    assert types(decided(tmp_path, rows, "y"))["log"] == "leaking"


def test_decimal_commas_are_told_to_the_source(tmp_path: Path) -> None:
    rows = [{**row, "a": f"{row['a']:.3f}".replace(".", ",")} for row in labelled(["n", "y"] * 50)]
    found = decided(tmp_path, rows, "y", delimiter=";")
    assert found.settings == {
        "address": "data/source", "delimiter": ";", "decimal": ",", "row_id": "row_id"
    }  # fmt: skip
    assert types(found)["a"] == "numeric"


@pytest.mark.parametrize("names", [("2022", "2023"), ("late", "early")])
def test_a_folder_in_order_of_time_stays_where_it_is(
    tmp_path: Path, names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = without(tables.customers(), "left on", "score")
    for name, first in zip((*names, "2024"), (0, 200, 400), strict=True):
        tables.write(rows[first : first + 200], tmp_path / f"files/{name}.csv")
    in_order = names[0] == "2022"
    found = decided(tmp_path, tmp_path / "files", "left")
    assert bool(found.imported) is not in_order
    assert (found.settings["address"] == "data/source") is not in_order


def test_files_of_one_folder_must_have_the_same_columns(tmp_path: Path) -> None:
    rows = tables.customers()
    tables.write(rows, tmp_path / "files/a.csv")
    tables.write(without(rows, "age"), tmp_path / "files/b.csv")
    with pytest.raises(Refusal, match="b and a do not have the same columns: 'age' in one only"):
        decided(tmp_path, tmp_path / "files", "left")


def test_a_query_is_parted_by_its_time(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "made-up.db") as connection:
        connection.execute("CREATE TABLE people (age INTEGER, day TEXT, y TEXT)")
        for n in range(1200):
            row = (n % 71, f"2024-{n // 100 + 1:02d}-{n % 28 + 1:02d}", "ab"[n % 2])
            connection.execute("INSERT INTO people VALUES (?, ?, ?)", row)
    connection.close()
    address = f"sqlite:///{tmp_path}/made-up.db"
    found = plan(
        arrivals.queried(address, "SELECT * FROM people", tmp_path), "t", "y", None, tmp_path
    )
    assert (found.settings["address"], found.settings["sql"]) == (address, "SELECT * FROM people")
    assert (found.settings["time"], found.settings["period"]) == ("day", "month")
    assert sorted(found.partitions) == [f"2024-{month:02d}" for month in range(1, 12)]
    assert found.source == "query.Query"
