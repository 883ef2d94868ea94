"""What MLflow's scoring server takes; its own clients are tried elsewhere."""

import json
import math
from typing import Any

import pytest
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }}.serving.front import Front

from ... import customers
from ..conftest import logged
from ..wire import ROW

COLUMNS = list(customers.PARAMS["data"]["columns"])
ROWS = [{name: customers.request(number)[name] for name in COLUMNS} for number in range(5)]
VALUES = [list(row.values()) for row in ROWS]
FORMS: dict[str, Any] = {
    "dataframe_split": {"columns": COLUMNS, "data": VALUES},
    "dataframe_split with an index": {"index": [7, 8, 9, 3, 1], "columns": COLUMNS, "data": VALUES},
    "dataframe_records": ROWS,
    "instances": ROWS,
    "inputs": {name: [row[name] for row in ROWS] for name in COLUMNS},
    "inputs in a list": ROWS,
}


def send(client: TestClient, form: str, value: Any) -> Any:
    return client.post("/invocations", content=json.dumps({form: value}))


def expected(client: TestClient, rows: Any = ROWS) -> list[float]:
    return [x["probability"] for x in client.post("/predict", json=rows).json()["predictions"]]


@pytest.mark.parametrize("name", FORMS)
def test_each_form_of_a_table_gets_the_answers_of_predict(name: str, client: TestClient) -> None:
    answer = send(client, name.partition(" ")[0], FORMS[name])
    assert answer.status_code == 200
    body = answer.json()
    assert [two for _, two in body["predictions"]] == expected(client)
    assert all(one + two == pytest.approx(1, abs=1e-15) for one, two in body["predictions"])
    assert body["version"] == 1


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_rows_without_names_are_in_the_order_of_the_signature(
    form: str, client: TestClient, front: Front
) -> None:
    names = list(front.service.model().manifest.smoke.row)
    values = [[row[name] for name in names] for row in ROWS]
    body = send(client, form, values).json()
    assert [two for _, two in body["predictions"]] == expected(client)


def test_one_value_for_each_column_is_one_row(client: TestClient) -> None:
    body = send(client, "inputs", ROWS[2]).json()
    assert [two for _, two in body["predictions"]] == expected(client, ROWS[2])


def test_columns_in_another_order_are_found_by_name(client: TestClient) -> None:
    table = {"columns": COLUMNS[::-1], "data": [row[::-1] for row in VALUES]}
    body = send(client, "dataframe_split", table).json()
    assert [two for _, two in body["predictions"]] == expected(client)


def test_columns_the_model_does_not_know_are_passed_over(client: TestClient) -> None:
    rows = [row | {"churned": 1, "colour": [1, {}]} for row in ROWS]
    body = send(client, "dataframe_records", rows).json()
    assert [two for _, two in body["predictions"]] == expected(client)


def test_key_and_time_are_logged_and_ids_are_told(client: TestClient, front: Front) -> None:
    found = send(client, "dataframe_records", [ROW, ROW]).json()
    lines = logged(front.service.var)
    assert [line["id"] for line in lines] == found["ids"]
    assert [line["row"] for line in lines] == [ROW, ROW]


def test_nan_is_a_missing_value(client: TestClient) -> None:
    rows = [row | {"annual income (€)": math.nan} for row in ROWS]
    body = send(client, "dataframe_records", rows).json()
    missing = [row | {"annual income (€)": None} for row in ROWS]
    assert [two for _, two in body["predictions"]] == expected(client, missing)


def without(column: str) -> dict[str, Any]:
    return {name: value for name, value in ROWS[0].items() if name != column}


REFUSED: list[tuple[str, Any, str, str | None]] = [
    ("dataframe_records", [ROWS[0], without("age")], "column `age` is missing", "[1].age"),
    ("dataframe_records", [ROWS[0] | {"age": math.nan}], "column `age`: Expected", "[0].age"),
    ("dataframe_records", [ROWS[0] | {"age": math.inf}], "column `age` is inf", "[0].age"),
    ("dataframe_records", [ROWS[0] | {"age": "old"}], "column `age`: Expected", "[0].age"),
    ("dataframe_records", {}, "expected a list, got dict", "dataframe_records"),
    ("dataframe_records", [1], "expected an object, got int", "[0]"),
    ("dataframe_records", [], "the list of rows is empty", None),
    ("dataframe_split", [], "the row: Expected", "dataframe_split"),
    ("dataframe_split", {"columns": ["a"]}, "field `data` is missing", "dataframe_split.data"),
    ("dataframe_split", {"columns": [1], "data": []}, "field", "dataframe_split.columns[0]"),
    (
        "dataframe_split",
        {"columns": ["a"], "data": [[1, 2]]},
        "2 values",
        "dataframe_split[0]",
    ),
    ("instances", [[1, 2]], "2 values for 6 columns", "instances[0]"),
    ("instances", [ROWS[0], VALUES[0]], "expected an object, got list", "[1]"),
    ("instances", None, "expected a list, got NoneType", "instances"),
    ("inputs", {"age": [1, 2], "from": ["web"]}, "the columns are not of one length", "inputs"),
    ("inputs", {}, "the list of rows is empty", None),
    ("rows", ROWS, "the body is no object with one of dataframe_split, ", None),
]


@pytest.mark.parametrize(("form", "value", "said", "field"), REFUSED)
def test_what_is_no_table_for_the_model_is_refused(
    form: str, value: Any, said: str, field: str | None, client: TestClient, front: Front
) -> None:
    answer = send(client, form, value)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(said)
    assert answer.json()["field"] == field
    assert logged(front.service.var) == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"7", b"[" * 10_000])
def test_what_is_no_object_is_refused(body: bytes, client: TestClient) -> None:
    answer = client.post("/invocations", content=body)
    assert (answer.status_code, set(answer.json())) == (400, {"error", "field"})


def test_two_forms_at_once_are_refused(client: TestClient) -> None:
    both = json.dumps({"instances": ROWS, "inputs": ROWS})
    assert client.post("/invocations", content=both).status_code == 400


def test_the_limit_of_rows_is_kept(client: TestClient) -> None:
    assert send(client, "instances", VALUES * 11).status_code == 413


def test_ping_and_version(client: TestClient, front: Front) -> None:
    ping = client.get("/ping")
    assert (ping.status_code, ping.text) == (200, "\n")
    assert client.get("/version").text == front.service.model().manifest.mlflow
