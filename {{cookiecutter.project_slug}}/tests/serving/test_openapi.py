from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fastapi.openapi.models import OpenAPI
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }}.serving.app import create_app

from .. import customers
from .conftest import LIMITS
from .wire import ROW

COLUMNS = list(customers.PARAMS["data"]["columns"])
ID = "0" * 32 + "-0"


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    return dict(client.get("/openapi.json").json())


def schemas(value: Any) -> Iterator[dict[str, Any]]:
    """All JSON schemas of a document."""
    if isinstance(value, dict):
        yield from ([value["schema"]] if "schema" in value else [])
        for part in value.values():
            yield from schemas(part)
    elif isinstance(value, list):
        for part in value:
            yield from schemas(part)


def valid(document: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    """Whether a value is what a schema of the document asks for."""
    validator: Any = import_module("jsonschema").Draft202012Validator
    return bool(validator(schema | {"components": document["components"]}).is_valid(value))


def body_of(document: dict[str, Any], path: str) -> dict[str, Any]:
    content = document["paths"][path]["post"]["requestBody"]["content"]
    return dict(content["application/json"])


def test_the_document_is_openapi_and_its_schemas_are_json_schemas(document: dict[str, Any]) -> None:
    OpenAPI.model_validate(document)
    assert document["openapi"].startswith("3.1")
    check: Any = import_module("jsonschema").Draft202012Validator.check_schema
    found = [*schemas(document["paths"]), *document["components"]["schemas"].values()]
    for schema in found:
        check(schema)
    names = {schema["$ref"].rpartition("/")[2] for schema in found if "$ref" in schema}
    assert names <= set(document["components"]["schemas"])


def test_every_path_answers_with_a_status_that_is_listed(
    document: dict[str, Any], client: TestClient
) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            url = path.replace("{name}", "customers").replace("{version}", "1")
            status = str(client.request(method, url).status_code)
            if not path.startswith("/monitoring"):  # nothing has been monitored
                assert status in operation["responses"]
                assert status in ("200", "400")


def test_every_column_is_described(document: dict[str, Any]) -> None:
    row = document["components"]["schemas"]["Row"]
    assert set(row["properties"]) == {*COLUMNS, "customer_id", "signed_up"}
    assert row["properties"]["age"]["description"] == "in years"
    assert set(row["required"]) == set(COLUMNS)
    assert row["additionalProperties"] is False


def test_the_examples_are_valid_and_answered(document: dict[str, Any], client: TestClient) -> None:
    content = body_of(document, "/predict")
    one, many = (example["value"] for example in content["examples"].values())
    assert (type(one), type(many)) == (dict, list)
    for example in (one, many):
        assert valid(document, content["schema"], example)
        assert client.post("/predict", json=example).status_code == 200


REQUESTS: list[tuple[str, Any]] = [
    ("/predict", ROW),
    ("/predict", [ROW, ROW | {"friend's plan": None}]),
    ("/predict", [ROW | {"colour": 1}]),
    ("/predict", ROW | {"age": "old"}),
    ("/predict", ROW | {"from": None}),
    ("/predict", {"age": 1}),
    ("/predict", []),
    ("/predict", 7),
    ("/feedback", {"id": ID, "label": 1}),
    ("/feedback", [{"id": ID, "label": 0}]),
    ("/feedback", {"id": ID, "label": 2}),
    ("/feedback", {"id": "x", "label": 1}),
    ("/feedback", []),
]


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_what_the_document_allows_is_what_the_service_takes(
    path: str, body: Any, document: dict[str, Any], client: TestClient
) -> None:
    answer = client.post(path, json=body)
    assert valid(document, body_of(document, path)["schema"], body) is (answer.status_code == 200)
    responses = document["paths"][path]["post"]["responses"]
    schema = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
    assert valid(document, schema, answer.json())


def test_an_explained_answer_is_as_described(document: dict[str, Any], client: TestClient) -> None:
    answer = client.post("/predict?explain=true", json=ROW).json()
    assert answer["predictions"][0]["explanation"]
    responses = document["paths"]["/predict"]["post"]["responses"]
    assert valid(document, responses["200"]["content"]["application/json"]["schema"], answer)


def test_without_a_model_the_document_is_valid_too(tmp_path: Path) -> None:
    with TestClient(create_app(tmp_path, LIMITS)) as client:
        OpenAPI.model_validate(client.get("/openapi.json").json())
