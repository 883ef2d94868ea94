"""The Open Inference Protocol, version 2; its own clients are tried elsewhere."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }}.serving.front import Front

from ... import customers
from ..conftest import logged

COLUMNS = list(customers.PARAMS["data"]["columns"])
ROWS = [{name: customers.request(number)[name] for name in COLUMNS} for number in range(4)]
URL = "/v2/models/customers/infer"
BINARY = {"FP64": "<f8", "FP32": "<f4", "FP16": "<f2"}
BINARY |= {"INT64": "<i8", "INT8": "<i1", "UINT16": "<u2"}
HEADER = "Inference-Header-Content-Length"


def tensor(name: str, rows: Any = ROWS, /, **changes: Any) -> dict[str, Any]:
    """A column as a tensor of JSON."""
    kind = "FP64" if name in customers.NUMERIC else "BYTES"
    data = [row[name] for row in rows]
    return {"name": name, "shape": [len(data)], "datatype": kind, "data": data} | changes


def tensors(**changes: Any) -> list[dict[str, Any]]:
    """All columns, that of `age` changed."""
    return [tensor(name, **(changes if name == "age" else {})) for name in COLUMNS]


def expected(client: TestClient, rows: Any = ROWS) -> list[float]:
    return [x["probability"] for x in client.post("/predict", json=rows).json()["predictions"]]


def outputs(answer: Any) -> dict[str, list[Any]]:
    assert answer.status_code == 200, answer.text
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


def test_a_tensor_a_column_gets_the_answers_of_predict(client: TestClient, front: Front) -> None:
    answer = client.post(URL, json={"id": "me", "inputs": tensors()})
    body, found = answer.json(), outputs(answer)
    assert (body["model_name"], body["model_version"], body["id"]) == ("customers", "1", "me")
    kinds = [(x["name"], x["datatype"], x["shape"]) for x in body["outputs"]]
    assert kinds == [("probability", "FP64", [4]), ("label", "INT64", [4]), ("id", "BYTES", [4])]
    assert [line["id"] for line in logged(front.service.var)] == found["id"]
    assert found["probability"] == expected(client)
    assert found["label"] == [int(p >= 0.5) for p in found["probability"]]


def test_outputs_are_those_asked_for(client: TestClient) -> None:
    wanted = [{"name": "label"}, {"name": "probability"}]
    found = outputs(client.post(URL, json={"inputs": tensors(), "outputs": wanted}))
    assert list(found) == ["label", "probability"]
    refused = client.post(URL, json={"inputs": tensors(), "outputs": [{"name": "colour"}]})
    assert refused.status_code == 400
    assert refused.json()["error"] == "no output is named colour, only probability, label, id"


@pytest.mark.parametrize(
    "shape", [{"shape": [4, 1]}, {"shape": [2, 2]}, {"shape": [1, 4]}, {"shape": [4]}]
)
def test_data_may_be_nested_or_flat_whatever_the_shape(
    shape: dict[str, Any], client: TestClient
) -> None:
    flat = [row["age"] for row in ROWS]
    for data in (flat, np.reshape(flat, shape["shape"]).tolist()):
        body = {"inputs": tensors(data=data, **shape)}
        assert outputs(client.post(URL, json=body))["probability"] == expected(client)


def test_a_missing_value_is_null(client: TestClient) -> None:
    rows = [row | {"annual income (€)": None, "friend's plan": None} for row in ROWS]
    body = {"inputs": [tensor(name, rows) for name in COLUMNS]}
    assert outputs(client.post(URL, json=body))["probability"] == expected(client, rows)


def binary(
    rows: Any, datatype: str = "FP64", sizes: dict[str, int] | None = None
) -> tuple[bytes, dict[str, str]]:
    """A request whose tensors are binary, and its header."""
    inputs: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name in COLUMNS:
        values = [row[name] for row in rows]
        if name in customers.NUMERIC:
            kind = datatype if name == "age" else "FP64"
            numbers = np.array([np.nan if x is None else x for x in values])
            part = numbers.astype(BINARY[kind]).tobytes()
        else:
            kind = "BYTES"
            part = b"".join(struct.pack("<I", len(x.encode())) + x.encode() for x in values)
        size = {"binary_data_size": (sizes or {}).get(name, len(part))}
        inputs.append(tensor(name, rows, datatype=kind, data=None, parameters=size))
        parts.append(part)
    head = json.dumps({"inputs": inputs}).encode()
    return head + b"".join(parts), {HEADER: str(len(head))}


COMPLETE = [row | {"friend's plan": "é plus"} for row in ROWS]


@pytest.mark.parametrize("datatype", BINARY)
def test_binary_tensors_are_read_in_each_type(datatype: str, client: TestClient) -> None:
    body, header = binary(COMPLETE, datatype)
    found = outputs(client.post(URL, content=body, headers=header))
    assert found["probability"] == expected(client, COMPLETE)


def test_a_binary_nan_is_a_missing_value(client: TestClient) -> None:
    rows = [row | {"annual income (€)": None} for row in COMPLETE]
    body, header = binary(rows)
    found = outputs(client.post(URL, content=body, headers=header))
    assert found["probability"] == expected(client, rows)


def test_json_and_binary_tensors_may_be_mixed(client: TestClient) -> None:
    part = np.array([row["age"] for row in ROWS], dtype="<f8").tobytes()
    age: dict[str, Any] = {"name": "age", "shape": [4], "datatype": "FP64"}
    age |= {"parameters": {"binary_data_size": len(part)}}
    inputs = [age if name == "age" else tensor(name) for name in COLUMNS]
    head = json.dumps({"inputs": inputs}).encode()
    answer = client.post(URL, content=head + part, headers={HEADER: str(len(head))})
    assert outputs(answer)["probability"] == expected(client)


@pytest.mark.parametrize(
    ("sizes", "said", "field"),
    [
        ({"age": 33}, "the binary data are not FP64", "inputs[0]"),
        ({"age": 24}, "3 values, another number than the shape's", "inputs[0]"),
        ({"age": 10**9}, "binary_data_size is over what the body holds", "inputs[0]"),
        ({"age": -1}, "binary_data_size is over what the body holds", "inputs[0]"),
        ({"from": 5}, "the binary data are not BYTES", "inputs[1]"),
        ({"from": 2}, "the binary data are not BYTES", "inputs[1]"),
    ],
)
def test_binary_data_that_do_not_fit_are_refused(
    sizes: dict[str, int], said: str, field: str, client: TestClient, front: Front
) -> None:
    body, header = binary(COMPLETE, sizes=sizes)
    answer = client.post(URL, content=body, headers=header)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert answer.json()["error"].startswith(said)
    assert logged(front.service.var) == []


def test_text_that_is_not_utf_8_is_refused(client: TestClient) -> None:
    body, header = binary(COMPLETE)
    answer = client.post(URL, content=body.replace("é".encode(), b"\xff\xff"), headers=header)
    assert answer.json()["error"].startswith("the binary data are not BYTES")


@pytest.mark.parametrize("header", ["x", "-1", "1e3", "100000", "²"])
def test_a_wrong_length_of_the_json_part_is_refused(header: str, client: TestClient) -> None:
    body, _ = binary(COMPLETE)
    answer = client.post(URL, content=body, headers={HEADER: header.encode()})
    assert answer.status_code == 400
    assert HEADER.lower() in answer.json()["error"]


REFUSED: list[tuple[Any, str, str | None]] = [
    ({"inputs": []}, "expected one tensor a column, all of one length", "inputs"),
    ({"inputs": tensors()[1:]}, "column `age` is missing", "[0].age"),
    ({"inputs": [*tensors(), tensor("age", name="colour")]}, "column `colour` is", "[0].colour"),
    ({"inputs": [*tensors(), tensor("age")]}, "age is given twice", "inputs[6]"),
    ({"inputs": tensors(shape=[3])}, "4 values, another number than the shape's", "inputs[0]"),
    ({"inputs": tensors(shape=[])}, "4 values, another number than the shape's", "inputs[0]"),
    ({"inputs": tensors(shape=[3], data=[1, 2, 3])}, "expected one tensor a column", "inputs"),
    ({"inputs": tensors(shape=[10**30])}, "4 values, another number", "inputs[0]"),
    ({"inputs": tensors(data=[1, "x", 3, 4])}, "column `age`: Expected `float`", "[1].age"),
    ({"inputs": tensors(data=[1, None, 3, 4])}, "column `age`: Expected `float`", "[1].age"),
    ({"inputs": tensors(data=[1, {}, 3, 4])}, "column `age`: Expected `float`", "[1].age"),
    ({"inputs": tensors(shape=["4"])}, "field `inputs[0].shape[0]`", "inputs[0].shape[0]"),
    ({"inputs": [{"name": "age"}]}, "field `shape` is missing", "inputs[0].shape"),
    ({"inputs": [tensor(name, []) for name in COLUMNS]}, "the list of rows is empty", None),
    ({}, "field `inputs` is missing", "inputs"),
    (7, "the body: Expected", None),
]


@pytest.mark.parametrize(("body", "said", "field"), REFUSED)
def test_what_is_no_table_for_the_model_is_refused(
    body: Any, said: str, field: str | None, client: TestClient, front: Front
) -> None:
    answer = client.post(URL, json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert answer.json()["error"].startswith(said)
    assert logged(front.service.var) == []


def test_a_binary_type_that_is_not_read_says_what_to_send(client: TestClient) -> None:
    body, header = binary(COMPLETE)
    changed = body.replace(b'"FP64"', b'"BOOL"')
    answer = client.post(URL, content=changed, headers=header)
    assert answer.json()["error"] == "BOOL is not read; send FP64 or BYTES"


def test_the_limit_of_rows_is_kept(client: TestClient) -> None:
    rows = ROWS * 13
    body = {"inputs": [tensor(name, rows) for name in COLUMNS]}
    assert client.post(URL, json=body).status_code == 413


@pytest.mark.parametrize("path", ["", "/ready", "/infer"])
@pytest.mark.parametrize("model", ["another", "customers/versions/2", "customers/versions/x"])
def test_another_model_or_version_is_not_found(path: str, model: str, client: TestClient) -> None:
    method = "POST" if path == "/infer" else "GET"
    answer = client.request(method, f"/v2/models/{model}{path}")
    assert answer.status_code == 404
    assert answer.json()["error"] == "no such model: customers, version 1 is served here"


@pytest.mark.parametrize("version", ["", "/versions/1"])
def test_the_model_tells_its_columns(version: str, client: TestClient) -> None:
    found = client.get(f"/v2/models/customers{version}").json()
    assert (found["name"], found["versions"], found["platform"]) == ("customers", ["1"], "trees")
    kinds = {column["name"]: column["datatype"] for column in found["inputs"]}
    numbers = dict.fromkeys(customers.NUMERIC, "FP64")
    texts = dict.fromkeys(customers.CATEGORICAL, "BYTES")
    assert kinds == numbers | texts
    assert all(column["shape"] == [-1] for column in (*found["inputs"], *found["outputs"]))
    ready = client.get(f"/v2/models/customers{version}/ready").json()
    assert ready == {"name": "customers", "ready": True}
    answer = client.post(f"/v2/models/customers{version}/infer", json={"inputs": tensors()})
    assert answer.status_code == 200


def test_the_server_tells_what_it_is(client: TestClient) -> None:
    found = client.get("/v2").json()
    assert (found["name"], found["version"]) == ("customers", "1")
    assert found["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
