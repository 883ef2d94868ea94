import json
import shutil
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }} import paths
from {{ cookiecutter.__package }}.serving.app import create_app
from {{ cookiecutter.__package }}.serving.bundle import Model

from .. import customers, project
from .conftest import LIMITS

ROW = customers.request()
COLUMNS = list(customers.PARAMS["data"]["columns"])


def logged() -> list[dict[str, Any]]:
    found = sorted(paths.PREDICTIONS.glob("*.jsonl"))
    return [json.loads(line) for path in found for line in path.read_text("utf-8").splitlines()]


def test_one_row_gets_one_answer(client: TestClient) -> None:
    answer = client.post("/predict", json=ROW)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    (prediction,) = body["predictions"]
    assert body["version"] == 1
    assert prediction["label"] == int(prediction["probability"] >= 0.5)
    assert prediction["unseen"] == []


def test_many_rows_get_scikit_learns_answers_in_their_order(client: TestClient) -> None:
    rows = [customers.request(number) for number in range(50)]
    body = client.post("/predict", json=rows).json()
    frame = pd.DataFrame(rows)[COLUMNS].astype(dict.fromkeys(customers.NUMERIC, float))
    expected = joblib.load(paths.MODEL).predict_proba(frame)[:, 1]
    found = [prediction["probability"] for prediction in body["predictions"]]
    assert found == pytest.approx(expected, abs=1e-12)
    assert len({prediction["id"] for prediction in body["predictions"]}) == 50


def test_an_unseen_category_is_answered_and_named(client: TestClient) -> None:
    body = client.post("/predict", json=[ROW, ROW | {"from": "moon"}]).json()
    assert [x["unseen"] for x in body["predictions"]] == [[], ["from"]]
    assert 0 < body["predictions"][1]["probability"] < 1


def without(column: str) -> dict[str, Any]:
    return {name: value for name, value in ROW.items() if name != column}


REFUSALS: list[tuple[Any, int, str, str | None]] = [
    (ROW | {"colour": "red"}, 400, "column `colour` is unknown", "colour"),
    ([ROW, ROW | {"colour": "red"}], 400, "column `colour` is unknown", "[1].colour"),
    (without("age"), 400, "column `age` is missing", "age"),
    (ROW | {"age": "old"}, 400, "column `age`: Expected `float`", "age"),
    (ROW | {"from": None}, 400, "column `from`: Expected `str`", "from"),
    ([], 400, "the list of rows is empty", None),
    (7, 400, "the body: Expected", None),
    ([ROW] * 51, 413, "51 rows; at most 50", None),
    ([ROW] * 500, 413, "the body is over 20000 bytes", None),
]


@pytest.mark.parametrize(("body", "status", "said", "field"), REFUSALS)
def test_what_cannot_be_answered_says_why_and_where(
    body: Any, status: int, said: str, field: str | None, client: TestClient
) -> None:
    answer = client.post("/predict", json=body)
    found = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert set(found) == {"error", "field"}
    assert found["error"].startswith(said)
    assert found["field"] == field
    assert logged() == []


@pytest.mark.parametrize("body", [b"hello", b"", b'{"from": "U\xff"}'])
def test_a_body_that_is_not_json_is_refused(body: bytes, client: TestClient) -> None:
    answer = client.post("/predict", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the body is not JSON")


def test_a_nan_is_refused_by_column(client: TestClient) -> None:
    answer = client.post("/predict", content=json.dumps([ROW, ROW | {"age": float("nan")}]))
    assert answer.status_code == 400
    assert answer.json()["field"] == "[1].age"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/predict", 405), ("POST", "/nowhere", 404)]
)
def test_other_errors_have_the_same_form(
    method: str, path: str, status: int, client: TestClient
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "field"}


def test_an_answer_is_in_the_log_with_its_row(client: TestClient) -> None:
    body = client.post("/predict", json=[ROW, ROW | {"annual income (€)": None}]).json()
    lines = logged()
    for line, prediction in zip(lines, body["predictions"], strict=True):
        assert {name: line[name] for name in ("id", "probability", "label")} == {
            name: prediction[name] for name in ("id", "probability", "label")
        }
        assert line["version"] == body["version"]
    assert lines[0]["row"] == ROW
    assert lines[1]["row"]["annual income (€)"] is None


def test_what_cannot_be_logged_is_not_answered(client: TestClient) -> None:
    shutil.rmtree(paths.PREDICTIONS)
    paths.PREDICTIONS.touch()
    answer = client.post("/predict", json=ROW)
    assert answer.status_code == 503
    assert answer.json()["error"].startswith("the prediction could not be logged")
    paths.PREDICTIONS.unlink()
    assert client.post("/predict", json=ROW).status_code == 200


def test_health_and_model_tell_what_serves(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}
    model, manifest = client.get("/model").json(), Model(project.bundle(1)).manifest
    assert (model["name"], model["version"], model["trouble"]) == ("customers", 1, None)
    assert model["trained_on"] + model["judged_on"] == customers.PARAMS["partitions"]
    assert model["metrics"] == manifest.metrics
    assert (model["run_id"], model["data_md5"]) == (manifest.run_id, manifest.data_md5)


def test_before_the_first_release_the_service_is_live_but_not_ready(tmp_path: Path) -> None:
    app = create_app(tmp_path / "bundles", tmp_path / "predictions", LIMITS)
    with TestClient(app) as client:
        assert client.get("/health/live").status_code == 200
        assert client.get("/openapi.json").status_code == 200
        for answer in (
            client.get("/health/ready"),
            client.get("/model"),
            client.post("/predict", json=ROW),
        ):
            assert answer.status_code == 503
            assert answer.json()["error"] == "no champion yet: run `make release`"


def test_the_api_describes_every_column_and_gives_a_row_that_works(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    properties = document["components"]["schemas"]["Row"]["properties"]
    assert set(properties) == {*COLUMNS, "customer_id", "signed_up"}
    assert properties["age"]["description"] == "in years"
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    one, many = (example["value"] for example in body["examples"].values())
    answers = client.post("/predict", json=one), client.post("/predict", json=many)
    assert [answer.status_code for answer in answers] == [200, 200]
    smoke = Model(project.bundle(1)).manifest.smoke
    assert one == smoke.row
    assert answers[0].json()["predictions"][0]["probability"] == pytest.approx(smoke.probability)
