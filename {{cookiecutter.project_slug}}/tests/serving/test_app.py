"""Every answer of /predict, by the short way and by the long one; and what the service tells."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }} import files
from {{ cookiecutter.__package }}.serving.app import create_app
from {{ cookiecutter.__package }}.serving.bundle import Model
from {{ cookiecutter.__package }}.serving.front import Front

from .. import customers
from .conftest import LIMITS, logged
from .wire import ROW, Answer, connected, request

COLUMNS = list(customers.PARAMS["data"]["columns"])
OTHER = customers.request(3)


def without(column: str) -> dict[str, Any]:
    return {name: value for name, value in ROW.items() if name != column}


ANSWERED: dict[str, Any] = {
    "a row": ROW,
    "a row in a list": [ROW],
    "rows": [ROW, OTHER, ROW],
    "a block of rows and more": [customers.request(number) for number in range(50)],
    "without key and time": {name: ROW[name] for name in COLUMNS},
    "unseen categories": ROW | {"from": "moon", "friend's plan": ""},
    "missing values": ROW | {"annual income (€)": None, "friend's plan": None},
    "a whole number for a number": ROW | {"age": 40, "visits.monthly": 0},
    "a number far out": ROW | {"age": 1e300, "annual income (€)": -1e300},
}
REFUSED: dict[str, tuple[Any, int, str, str | None]] = {
    "unknown column": (ROW | {"colour": "red"}, 400, "column `colour` is unknown", "colour"),
    "unknown in a list": ([ROW, ROW | {"colour": 1}], 400, "column `colour` is unk", "[1].colour"),
    "missing column": (without("age"), 400, "column `age` is missing", "age"),
    "text for a number": (ROW | {"age": "old"}, 400, "column `age`: Expected `float`", "age"),
    "missing value": (ROW | {"from": None}, 400, "column `from`: Expected `str`", "from"),
    "true for a number": ([ROW | {"age": True}], 400, "column `age`: Expected", "[0].age"),
    "no rows": ([], 400, "the list of rows is empty", None),
    "a number": (7, 400, "the body: Expected", None),
    "a list of numbers": ([7], 400, "the row: Expected", "[0]"),
    "too many rows": ([ROW] * 51, 413, "51 rows; at most 50", None),
    "too many bytes": ([ROW] * 500, 413, "the body is over 20000 bytes", None),
    "not a number": ([ROW, ROW | {"age": math.nan}], 400, "column `age` is nan", "[1].age"),
    "infinity": (ROW | {"age": math.inf}, 400, "column `age` is inf", "age"),
}
BROKEN = [b"hello", b"", b"{", b'{"from": "U\xff"}', b"[" * 10_000, b'{"age": 1e999}', b"null"]


def both(front: Front, body: bytes, *headers: str, url: str = "/predict") -> list[Answer]:
    """The answers to a request by the lane and by FastAPI through Starlette's test client."""
    with connected(front) as wire:
        (short,) = wire.feed(request(body, *headers, line=f"POST {url} HTTP/1.1"))
    pairs = dict(header.split(": ") for header in headers)
    reply = TestClient(front).post(url, content=body, headers=pairs)
    long = Answer(reply.status_code, [*reply.headers.items(), ("date", "today")], reply.content)
    if ("connection", "close") in short.headers:
        assert reply.headers["connection"] == "close"
    return [short, long]


@pytest.mark.parametrize("name", ANSWERED)
def test_both_ways_give_the_same_answer_and_log_it(name: str, front: Front) -> None:
    short, long = both(front, json.dumps(ANSWERED[name]).encode(), "X-Request-Id: me")
    assert short.plain() == long.plain()
    assert short.status == 200
    ids = [x["id"] for answer in (short, long) for x in json.loads(answer.body)["predictions"]]
    lines = logged(front.service.var)
    assert [line.pop("id") for line in lines] == ids
    assert len(set(ids)) == len(ids)
    for line in lines:
        del line["at"]
    half = len(lines) // 2
    assert lines[:half] == lines[half:]
    assert {line["request"] for line in lines} == {"me"}


@pytest.mark.parametrize("name", REFUSED)
def test_both_ways_refuse_alike_and_say_why_and_where(name: str, front: Front) -> None:
    body, status, said, field = REFUSED[name]
    short, long = both(front, json.dumps(body).encode())
    assert short.plain() == long.plain()
    found = json.loads(short.body)
    assert set(found) == {"error", "field"}
    assert (short.status, found["field"]) == (status, field)
    assert found["error"].startswith(said)
    assert ("content-type", "application/json") in short.headers
    assert logged(front.service.var) == []


@pytest.mark.parametrize("body", BROKEN)
def test_both_ways_refuse_what_is_no_row(body: bytes, front: Front) -> None:
    short, long = both(front, body)
    assert short.plain() == long.plain()
    assert (short.status, logged(front.service.var)) == (400, [])


@pytest.mark.parametrize(("key", "status"), [("secret", 200), ("wrong", 401), ("", 401)])
def test_both_ways_ask_for_the_key(key: str, status: int, serve: Callable[..., Front]) -> None:
    short, long = both(
        serve(key="secret"), json.dumps(ROW).encode(), f"Authorization: Bearer {key}"
    )
    assert short.plain() == long.plain()
    assert short.status == status


def test_both_ways_fail_alike(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "one", lambda *_: 1 / 0)
    short, long = both(front, json.dumps(ROW).encode())
    assert short.plain() == long.plain()
    assert short.status == 500
    assert json.loads(short.body)["error"] == "the service has failed; its log says why"


def test_both_ways_wait_for_a_model(tmp_path: Path) -> None:
    short, long = both(create_app(tmp_path, LIMITS), json.dumps(ROW).encode())
    assert short.plain() == long.plain()
    assert (short.status, dict(short.headers)["retry-after"]) == (503, "5")


@pytest.mark.parametrize("policy", ["fail_closed", "fail_open"])
def test_both_ways_do_the_same_without_a_log(policy: str, serve: Callable[..., Front]) -> None:
    front = serve(on_log_failure=policy)
    (front.service.var / "predictions").rmdir()
    (front.service.var / "predictions").touch()
    short, long = both(front, json.dumps(ROW).encode())
    assert short.plain() == long.plain()
    assert short.status == (503 if policy == "fail_closed" else 200)


def test_answers_are_scikit_learns_in_the_order_of_the_rows(
    client: TestClient, built_released: Path
) -> None:
    rows = [customers.request(number) for number in range(50)]
    frame = pd.DataFrame(rows)[COLUMNS].astype(dict.fromkeys(customers.NUMERIC, float))
    model = joblib.load(built_released / "models/model.joblib")
    expected = model.predict_proba(frame)[:, 1]
    found = client.post("/predict", json=rows).json()["predictions"]
    assert np.abs([x["probability"] for x in found] - expected).max() <= 1e-12
    assert [x["label"] for x in found] == [int(x >= 0.5) for x in expected]


def test_columns_with_an_unseen_category_are_named(client: TestClient) -> None:
    body = client.post("/predict", json=[ROW, ROW | {"from": "moon"}]).json()
    assert [x["unseen"] for x in body["predictions"]] == [[], ["from"]]


def test_an_answer_is_explained_when_asked(client: TestClient) -> None:
    answers = [client.post(f"/predict{x}", json=[ROW, OTHER]) for x in ("", "?explain=true")]
    plain, explained = (answer.json()["predictions"] for answer in answers)
    for one, other in zip(plain, explained, strict=True):
        assert "explanation" not in one
        assert one["probability"] == other["probability"]
        found = other["explanation"]
        raw = found["base"] + sum(found["contributions"].values())
        assert 1 / (1 + math.exp(-raw)) == pytest.approx(other["probability"], abs=1e-12)
        assert set(found["contributions"]) == set(COLUMNS)


def test_an_explanation_that_fails_leaves_no_line_in_the_log(
    client: TestClient, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "explain", lambda *_: 1 / 0)
    assert client.post("/predict?explain=true", json=ROW).status_code == 500
    assert logged(var) == []


def test_only_some_rows_at_a_time_are_explained(serve: Callable[..., Front]) -> None:
    client = TestClient(serve(max_rows=1000, max_body_bytes=10**6))
    refused = client.post("/predict?explain=1", json=[ROW] * 101)
    assert (refused.status_code, refused.json()["error"][:17]) == (413, "101 rows; at most")


def test_health_and_model_tell_what_serves(client: TestClient, front: Front) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}
    manifest = front.service.model().manifest
    model = client.get("/model").json()
    assert (model["name"], model["version"], model["trouble"]) == ("customers", 1, None)
    assert model["trained_on"] + model["judged_on"] == customers.PARAMS["partitions"]
    assert model["metrics"] == manifest.metrics
    assert (model["run_id"], model["data_md5"]) == (manifest.run_id, manifest.data_md5)
    assert model["example"] == manifest.smoke.row
    assert [column["name"] for column in model["columns"]] == [c.name for c in manifest.columns]


def test_before_the_first_release_the_service_is_live_but_not_ready(tmp_path: Path) -> None:
    with TestClient(create_app(tmp_path, LIMITS)) as client:
        for path in ("/health/live", "/openapi.json", "/", "/metrics"):
            assert client.get(path).status_code == 200
        for path in ("/health/ready", "/model", "/ping", "/version", "/v2/health/ready", "/v2"):
            answer = client.get(path)
            assert answer.status_code == 503
            assert answer.json()["error"] == "no champion yet: run `make release`"


def test_the_page_is_html(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.lower().startswith("<!doctype html>")


def test_what_the_monitor_saw_is_shown(client: TestClient, var: Path) -> None:
    for path in ("/monitoring", "/monitoring/report"):
        missing = client.get(path)
        assert (missing.status_code, missing.json()["error"][:7]) == (404, "nothing")
    files.write_json(var / "monitoring/latest.json", {"status": "ok", "report": "drift.html"})
    assert client.get("/monitoring").json()["status"] == "ok"
    assert client.get("/monitoring/report").status_code == 404
    files.write_text(var / "monitoring/drift.html", "<p>drift</p>")
    report = client.get("/monitoring/report")
    assert (report.text, report.headers["content-type"][:9]) == ("<p>drift</p>", "text/html")


def test_a_monitor_without_a_report_has_none_to_show(client: TestClient, var: Path) -> None:
    files.write_json(var / "monitoring/latest.json", {"status": "ok", "report": None})
    assert client.get("/monitoring/report").status_code == 404
