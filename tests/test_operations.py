"""What operators rely on: figures, logs, shutdown, limits, the key, and where it listens."""

import json
import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lived
from .service import Caller, Load, Reply, Running, flights, logged, prepare, serving

ERROR = {"error", "field"}
KEY = "a-key.of/the+tests="


def total(figures: dict[str, float], name: str, **labels: str) -> float:
    """The sum of a metric's series that have these labels."""
    return sum(
        value
        for series, value in figures.items()
        if series.partition("{")[0] == name
        and all(f'{label}="{wanted}"' in series for label, wanted in labels.items())
    )


def refusal(reply: Reply, status: int) -> dict[str, Any]:
    """An error's body, which always has the same form."""
    found: dict[str, Any] = reply.json()
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    assert set(found) == ERROR
    return found


def head(path: str, length: int, *lines: str) -> bytes:
    """The head of a POST whose body is still to come."""
    text = "\r\n".join((f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {length}", *lines))
    return f"{text}\r\n\r\n".encode()


def everything(connection: socket.socket) -> bytes:
    """What comes until the service closes the connection."""
    found = b""
    while part := connection.recv(65536):
        found += part
    return found


def test_the_figures_of_two_workers_are_what_was_sent_also_after_a_kill(
    life: Lived, tmp_path: Path
) -> None:
    folder = prepare(life.project, tmp_path / "service", poll_seconds=0.05)
    rows = flights(life.project)
    with serving(life.project, folder, SERVE_WORKERS="2") as service:
        service.wait(lambda: len(service.workers()) == 2)

        def send(times: int) -> None:
            for number in range(times):
                service.ask("/predict", rows[number % len(rows)])
                service.ask("/predict", rows[:3])
                service.ask("/invocations", {"dataframe_records": rows[:2]})
                service.ask("/predict", {"nonsense": 1})
                service.ask("/nowhere")

        def as_sent(times: int) -> bool:
            figures = service.figures()
            requests = {
                ("/predict", "200"): 2 * times,
                ("/invocations", "200"): times,
                ("/predict", "400"): times,
                ("other", "404"): times,
            }
            seen = {
                (path, status): total(figures, "http_requests_total", endpoint=path, status=status)
                for path, status in requests
            }
            by_label = {
                label: total(figures, "predictions_total", label=label) for label in ("0", "1")
            }
            labels = [line["label"] for line in logged(folder / "var")[0]]
            timed = total(figures, "http_request_duration_seconds_count", endpoint="/predict")
            return (
                seen == requests
                and by_label == {label: labels.count(int(label)) for label in ("0", "1")}
                and sum(by_label.values()) == 6 * times
                and timed == 3 * times
            )

        send(40)
        # A worker counts once its answer has left, which may be after the question is here.
        service.wait(lambda: as_sent(40))
        writers = {path.name.split(".")[1] for path in (folder / "var/predictions").iterdir()}
        assert len(writers) == 2

        killed = service.workers()[0]
        os.kill(killed, signal.SIGKILL)
        service.wait(lambda: killed not in service.workers() and len(service.workers()) == 2)
        service.wait(lambda: _alive(service) == set(service.workers()))
        assert as_sent(40)
        send(20)
        service.wait(lambda: as_sent(60))


def _alive(service: Running) -> set[int]:
    """The workers whose model version /metrics tells; a dead one tells none."""
    found = service.figures()
    return {
        int(series.split('"')[1]) for series in found if series.startswith("model_version{pid=")
    }


def test_the_log_is_json_with_the_id_of_the_request(life: Lived, tmp_path: Path) -> None:
    folder = prepare(life.project, tmp_path / "service")
    row = flights(life.project)[0]
    with serving(life.project, folder) as service:
        answered = service.ask("/predict", row, X_Request_ID="mine-1")
        listed = service.ask("/predict", [row, row], X_Request_ID="mine-2")
        named = service.ask("/predict", {"no": 1}, X_Request_ID="mine-3")
        unnamed = service.ask("/nowhere")
        forged = service.ask("/predict", b"{", X_Request_ID='"}{"level":"CRITICAL')
        lines = service.log()
    assert answered.headers["x-request-id"] == "mine-1"
    assert listed.headers["x-request-id"] == "mine-2"
    assert [line["request"] for line in logged(folder / "var")[0]] == ["mine-1", "mine-2", "mine-2"]
    assert all({"at", "level", "message", "pid"} <= set(line) for line in lines)
    told = {line["request"]: line for line in lines if "request" in line}
    for reply, path in ((named, "/predict"), (unnamed, "/nowhere"), (forged, "/predict")):
        line = told[reply.headers["x-request-id"]]
        assert (line["path"], line["status"]) == (path, reply.status)
        assert line["message"].startswith("refused: ")
        assert line["message"].endswith(reply.json()["error"])
    assert named.headers["x-request-id"] == "mine-3"
    assert re.fullmatch("[0-9a-f]{16}", forged.headers["x-request-id"])
    assert len(told) == 3
    assert {line["level"] for line in lines} == {"INFO"}


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_drops_no_request_in_flight(workers: int, life: Lived, tmp_path: Path) -> None:
    folder = prepare(life.project, tmp_path / "service")
    rows = flights(life.project)
    one, many = (json.dumps(body).encode() for body in (rows[0], rows * 150))
    table = json.dumps({"dataframe_records": rows}).encode()
    begun = [("/predict", many), ("/predict", one), ("/invocations", table)]
    with serving(life.project, folder, SERVE_WORKERS=str(workers)) as service:
        service.wait(lambda: len(service.workers()) == workers)
        load = Load(service.port, rows)
        with load.running(), ThreadPoolExecutor() as pool:
            slow = []
            for path, body in begun:
                connection = socket.create_connection(("127.0.0.1", service.port), timeout=30)
                connection.sendall(head(path, len(body)) + body[: len(body) // 2])
                slow.append((connection, body))
            long = [pool.submit(service.ask, "/predict", rows * 150) for _ in range(3)]
            service.wait(lambda: total(service.figures(), "http_requests_in_flight") >= 4)
            service.process.send_signal(signal.SIGTERM)
            _closed(service)
            for number, (connection, body) in enumerate(slow):
                time.sleep(
                    number and 0.3
                )  # the first while idle connections are open, others later
                connection.sendall(body[len(body) // 2 :])
            replies = [everything(connection) for connection, _ in slow]
            answers = [future.result() for future in long]
            load.stop()
        assert service.process.wait(timeout=30) in (0, -signal.SIGTERM)
    for reply in replies:
        assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close" in reply.lower()
        json.loads(reply.partition(b"\r\n\r\n")[2])
    assert {answer.status for answer in answers} == {200}
    assert {len(answer.json()["predictions"]) for answer in answers} == {len(rows) * 150}
    # Who comes now is not let in; nobody who had been kept was dropped.
    assert not [broken for broken in load.broken if broken.kept]
    assert load.refusals == []
    lines, torn = logged(folder / "var")
    assert torn == 0
    assert {answer.id for answer in load.answers} <= {line["id"] for line in lines}


def _closed(service: Running) -> None:
    """Wait until nobody is let in any more."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", service.port), timeout=5).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.01)
    raise AssertionError("the service still lets callers in")


def test_bodies_and_rows_over_the_limit_are_refused_before_they_are_read(
    life: Lived, tmp_path: Path
) -> None:
    folder = prepare(life.project, tmp_path / "service", max_body_bytes=100_000, max_rows=50)
    row = flights(life.project)[0]
    with serving(life.project, folder) as service:
        many = refusal(service.ask("/predict", [row] * 51), 413)
        assert many["error"] == "51 rows; at most 50 fit in one request"
        paths = ("/predict", "/invocations", "/v2/models/flight-delays/infer", "/feedback")
        begun = [head(path, 100_001) for path in paths]  # and nothing of the body
        chunked = head("/predict", 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        begun.append(chunked + (b"2710\r\n" + b" " * 10_000 + b"\r\n") * 11)
        held = [socket.create_connection(("127.0.0.1", service.port), timeout=30) for _ in begun]
        for connection, sent in zip(held, begun, strict=True):
            connection.sendall(sent)
        for connection in held:
            said = everything(connection)
            assert said.startswith(b"HTTP/1.1 413 ")
            found = json.loads(said.partition(b"\r\n\r\n")[2])
            assert found == {"error": "the body is over 100000 bytes", "field": None}
        assert logged(folder / "var") == ([], 0)
        assert service.ask("/predict", row).status == 200


def test_a_caller_who_sends_all_of_a_body_that_is_too_large_is_told_so(
    life: Lived, tmp_path: Path
) -> None:
    folder = prepare(life.project, tmp_path / "service")
    with serving(life.project, folder) as service:
        for path in ("/predict", "/invocations"):
            found = refusal(service.ask(path, b" " * 20_000_000), 413)
            assert "the body is over" in found["error"]


def test_requests_over_the_number_at_a_time_are_told_to_come_again(
    life: Lived, tmp_path: Path
) -> None:
    folder = prepare(life.project, tmp_path / "service", max_concurrent=3)
    rows = flights(life.project)
    body = json.dumps(rows).encode()
    with serving(life.project, folder) as service:
        held = [socket.create_connection(("127.0.0.1", service.port), timeout=30) for _ in range(3)]
        for connection in held:
            connection.sendall(head("/invocations", len(body), "Connection: close") + body[:10])
        busy = service.wait_for(lambda: service.ask("/predict", rows), 503)
        assert refusal(busy, 503)["error"] == "over 3 requests at a time"
        assert int(busy.headers["retry-after"]) >= 1
        assert service.ready()  # whoever asks that must not be told to wait
        for connection in held:
            connection.sendall(body[10:])
        assert [everything(connection)[:12] for connection in held] == [b"HTTP/1.1 400"] * 3
        assert service.ask("/predict", rows).status == 200
        assert total(service.figures(), "http_requests_total", status="503") >= 1


def test_a_request_that_does_not_come_to_its_end_is_ended(life: Lived, tmp_path: Path) -> None:
    folder = prepare(life.project, tmp_path / "service", request_seconds=0.5, poll_seconds=0.1)
    with serving(life.project, folder) as service:
        held = []
        for path, length in (("/predict", 100), ("/predict", 90_000), ("/invocations", 100)):
            connection = socket.create_connection(("127.0.0.1", service.port), timeout=30)
            connection.sendall(head(path, length) + b'{"a')
            held.append(connection)
        for connection in held:
            said = everything(connection)
            assert said.startswith(b"HTTP/1.1 408 ")
            assert set(json.loads(said.partition(b"\r\n\r\n")[2])) == ERROR
        assert service.ready()


def test_a_connection_in_use_stays_open_whichever_way_its_requests_take(
    life: Lived, tmp_path: Path
) -> None:
    # The service closes a connection after five idle seconds.
    folder = prepare(life.project, tmp_path / "service")
    row = json.dumps(flights(life.project)[0]).encode()
    with serving(life.project, folder) as service:
        caller = Caller(service.port)
        for number in range(14):
            reply = caller.ask("/predict", row) if number == 0 else caller.ask("/health/live")
            assert (reply.status, caller.kept) == (200, True)
            time.sleep(0.5)
        caller.close()


def test_without_the_key_only_the_health_is_told(life: Lived, tmp_path: Path) -> None:
    folder = prepare(life.project, tmp_path / "service")
    row = flights(life.project)[0]
    posts = ("/predict", "/invocations", "/v2/models/flight-delays/infer", "/feedback")
    gets = ("/model", "/metrics", "/docs", "/openapi.json", "/monitoring", "/version", "/v2", "/x")
    with serving(life.project, folder, SERVE_API_KEY=KEY) as service:
        wrong = ({}, *({"Authorization": text} for text in (KEY, f"Bearer {KEY}x", "Bearer", "")))
        for headers in wrong:
            for path in posts:
                reply = service.ask(path, row, **headers)
                assert refusal(reply, 401)["error"]
                assert reply.headers["www-authenticate"] == "Bearer"
            for path in gets:
                refusal(service.ask(path, **headers), 401)
        for path in ("/health/live", "/health/ready", "/ping", "/v2/health/live"):
            assert service.ask(path).status == 200
        right = {"Authorization": f"Bearer {KEY}"}
        assert logged(folder / "var") == ([], 0)
        assert service.ask("/predict", row, **right).status == 200
        assert service.ask("/predict", [row], **right).status == 200
        assert service.figures(**right)["model_version"] == 1
        assert KEY not in service.said.read_text(encoding="utf-8")


@pytest.mark.parametrize(("host", "others"), [(None, False), ("0.0.0.0", True)])  # noqa: S104
def test_the_service_listens_on_this_machine_only_unless_told_otherwise(
    host: str | None, others: bool, life: Lived, tmp_path: Path
) -> None:
    folder = prepare(life.project, tmp_path / "service")
    told = {} if host is None else {"SERVE_HOST": host}
    with serving(life.project, folder, **told) as service:
        port = f":{service.port:04X}"
        listening = {
            local.partition(":")[0]
            for table in ("tcp", "tcp6")
            if Path(f"/proc/net/{table}").exists()
            for _, local, _, state, *_ in map(
                str.split, Path(f"/proc/net/{table}").read_text().splitlines()[1:]
            )
            if local.endswith(port) and state == "0A"
        }
    assert listening == {"00000000" if others else "0100007F"}
