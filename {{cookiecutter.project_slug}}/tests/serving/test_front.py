import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }}.serving import metrics
from {{ cookiecutter.__package }}.serving.front import OPEN, Front
from {{ cookiecutter.__package }}.serving.service import Service

from .asgi import Call
from .conftest import LIMITS, logged
from .figures import counted
from .wire import BODY, ROW

SHOWN = {"Authorization": "Bearer secret"}


def paths(front: Front) -> set[tuple[str, str]]:
    """Method and path of every route, with names that exist in place of parameters."""
    model = front.service.model().manifest
    document = TestClient(front).get("/openapi.json", headers=SHOWN).json()["paths"]
    found = {(method.upper(), path) for path, methods in document.items() for method in methods}
    unlisted = ("/", "/page.css", "/page.js", "/docs", "/redoc", "/openapi.json")
    found |= {("GET", path) for path in unlisted}
    return {
        (method, path.replace("{name}", model.name).replace("{version}", str(model.version)))
        for method, path in found
    }


def test_a_key_is_asked_for_on_every_path_but_the_open_ones(serve: Callable[..., Front]) -> None:
    front = serve(key="secret")
    client = TestClient(front)
    refused = {
        path for method, path in paths(front) if client.request(method, path).status_code == 401
    }
    every = {path for _, path in paths(front)}
    assert every - refused == OPEN
    assert {"/predict", "/feedback", "/metrics", "/model", "/invocations", "/docs"} <= refused


def test_with_the_key_every_path_answers(serve: Callable[..., Front]) -> None:
    front = serve(key="secret")
    client = TestClient(front, headers=SHOWN)
    found = {client.request(method, path).status_code for method, path in paths(front)}
    assert found <= {200, 400, 404}  # no body was sent, nothing has been monitored


def test_an_unknown_path_tells_nothing_without_the_key(serve: Callable[..., Front]) -> None:
    client = TestClient(serve(key="secret"))
    assert client.get("/nowhere").status_code == 401
    assert client.get("/health/live/").status_code == 401


@pytest.mark.parametrize(
    "shown", ["Bearer", "Bearer secre", "Bearer secrets", "bearer secret", "é"]
)
def test_a_wrong_key_is_refused_and_told_how(shown: str, serve: Callable[..., Front]) -> None:
    answer = TestClient(serve(key="secret")).get(
        "/model", headers={"Authorization": shown.encode()}
    )
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["error"] == "send the API key as `Authorization: Bearer <key>`"


def broken(*_: Any) -> Any:
    raise ZeroDivisionError("a secret of the service")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 405),
        ("PUT", "/invocations", 405),
        ("POST", "/nowhere", 404),
        ("GET", "/v2/models/another", 404),
        ("POST", "/predict", 400),
        ("POST", "/predict?explain=maybe", 400),
        ("POST", "/feedback", 400),
        ("POST", "/invocations", 400),
        ("POST", "/v2/models/customers/infer", 400),
        ("GET", "/model", 500),
        ("GET", "/metrics", 500),
    ],
)
def test_every_error_has_the_same_form(
    method: str, path: str, status: int, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    if status == 500:
        monkeypatch.setattr(Service, "model", broken)
        monkeypatch.setattr(metrics, "exposition", broken)
    answer = client.request(method, path, headers={"X-Request-Id": "me"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == "me"
    assert set(answer.json()) == {"error", "field"}
    assert "secret" not in answer.text


def test_a_failure_is_in_the_services_log_under_the_requests_id(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Service, "model", broken)
    answer = client.get("/model")
    (record,) = [x for x in caplog.records if x.levelno >= logging.ERROR]
    assert record.__dict__["request"] == answer.headers["x-request-id"]
    assert record.exc_info and record.exc_info[0] is ZeroDivisionError


def test_a_refusal_is_in_the_services_log_with_path_and_status(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client.post("/predict", json=[], headers={"X-Request-Id": "me"})
    (record,) = [x for x in caplog.records if x.name.endswith("front")]
    facts = {name: record.__dict__[name] for name in ("request", "path", "status")}
    assert facts == {"request": "me", "path": "/predict", "status": 400}
    assert record.getMessage() == "refused: the list of rows is empty"


@pytest.mark.parametrize("given", ["", "no id", "a" * 101, "é", 'a"b'])
def test_an_error_gets_an_id_when_the_request_has_no_good_one(
    given: str, client: TestClient
) -> None:
    answer = client.get("/nowhere", headers={"X-Request-Id": given.encode()})
    assert len(answer.headers["x-request-id"]) == 16
    assert given == "" or given not in answer.headers["x-request-id"]


@pytest.mark.parametrize("size", [20_000, 20_001])
@pytest.mark.parametrize(
    "path", ["/predict", "/feedback", "/invocations", "/v2/models/customers/infer"]
)
@pytest.mark.parametrize("told", [True, False])
def test_a_body_may_be_as_long_as_the_limit(
    size: int, path: str, told: bool, client: TestClient
) -> None:
    body = b"x" * size
    answer = client.post(path, content=body if told else iter([body[:9], body[9:]]))
    assert answer.status_code == (400 if size == 20_000 else 413)
    if size > 20_000:
        assert answer.json()["error"] == "the body is over 20000 bytes"
        # A body that was not read goes on; what follows on the connection is not a request.
        assert answer.headers.get("connection") == ("close" if told else None)


def test_a_request_beyond_the_limit_is_told_to_come_again(serve: Callable[..., Front]) -> None:
    async def scenario() -> None:
        front = serve(max_concurrent=2)
        first, second = Call(front), Call(front, "/invocations")
        status, headers, body = await Call(front).give(BODY).answer()
        assert (status, headers["retry-after"]) == (503, "1")
        assert body["error"] == "over 2 requests at a time"
        assert (await Call(front, "/health/ready", "GET").answer())[0] == 200
        first.give(BODY)
        assert (await first.answer())[0] == 200
        assert (await Call(front).give(BODY).answer())[0] == 200
        second.give(b"")
        assert (await second.answer())[0] == 400

    asyncio.run(scenario())


def test_a_request_that_takes_too_long_is_ended_and_others_go_on(
    serve: Callable[..., Front],
) -> None:
    async def scenario() -> None:
        front = serve(request_seconds=0.05, poll_seconds=0.001)
        watcher = asyncio.create_task(front.watch())
        status, headers, body = await Call(front).give(BODY[:9], more=True).answer()
        assert (status, headers["connection"]) == (408, "close")
        assert body["error"] == "the request took over 0.05 seconds"
        assert headers["x-request-id"]
        assert (await Call(front).give(BODY).answer())[0] == 200
        watcher.cancel()

    asyncio.run(scenario())


async def begins(scope: Any, receive: Any, send: Any) -> None:
    """An application that begins an answer and then does as its path says."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/breaks":
        raise ZeroDivisionError
    await asyncio.sleep(60)


def test_an_answer_that_has_begun_is_not_followed_by_another(front: Front) -> None:
    async def scenario() -> None:
        slow = Front(begins, serve_soon(front))
        watcher = asyncio.create_task(slow.watch())
        hanging, breaking = Call(slow, "/hangs"), Call(slow, "/breaks")
        with pytest.raises(ZeroDivisionError):
            await breaking.task
        with pytest.raises(asyncio.CancelledError):
            await hanging.task
        assert len(hanging.sent) == len(breaking.sent) == 1
        watcher.cancel()

    asyncio.run(scenario())


def serve_soon(front: Front) -> Service:
    """A service whose requests are overdue at once."""
    limits = msgspec.structs.replace(LIMITS, request_seconds=0.01, poll_seconds=0.001)
    return Service(front.service.var, limits)


def test_a_request_cancelled_by_the_server_is_not_answered(front: Front) -> None:
    async def scenario() -> None:
        call = Call(front)
        await asyncio.sleep(0)
        call.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call.task
        assert call.sent == []

    asyncio.run(scenario())


def test_a_caller_who_hangs_up_is_no_failure(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    added = counted("http_requests_total", endpoint="/predict", status="499")
    call_of = {"/predict": BODY[:9], "/feedback": b""}

    async def scenario() -> None:
        for path, body in call_of.items():
            call = Call(front, path).give(body, more=True).hang_up()
            await asyncio.wait_for(call.task, 10)

    asyncio.run(scenario())
    assert added() == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_log_that_was_removed_is_begun_again(client: TestClient, var: Path) -> None:
    told = {"id": f"{'0' * 32}-0", "label": 1}
    for name, url, body in (("predictions", "/predict", ROW), ("feedback", "/feedback", told)):
        assert client.post(url, json=body).status_code == 200
        for path in (var / name).iterdir():
            path.unlink()
        end = time.monotonic() + 10
        while not logged(var, name):
            assert client.post(url, json=body).status_code == 200
            assert time.monotonic() < end
