"""`make serve`, as a process of its own."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.serving import __main__ as module

from .conftest import logged
from .wire import BODY, ROW

KEY = {"Authorization": "Bearer secret"}


@pytest.fixture
def port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of an answer, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, KEY)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def ready(port: int) -> bool:
    try:
        return ask(port, "GET", "/health/ready")[0] == 200
    except OSError:
        return False


@pytest.fixture
def service(released: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The released project's service in two workers."""
    told = {"HOST": "127.0.0.1", "PORT": str(port), "WORKERS": "2", "API_KEY": "secret"}
    environment = os.environ | {f"SERVE_{name}": value for name, value in told.items()}
    command = [sys.executable, "-m", module.__name__]
    with subprocess.Popen(
        command, env=environment | {"VAR_DIR": str(released / "var")}, stderr=subprocess.PIPE
    ) as process:
        end = time.monotonic() + 60
        while not ready(port):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        yield process
        process.terminate()


def test_all_workers_answer_count_and_log_and_end_when_told(
    service: subprocess.Popen[bytes], port: int, released: Path
) -> None:
    many = json.dumps([ROW, ROW]).encode()
    found: list[dict[str, Any]] = []
    for body in [BODY, many] * 10:
        status, reply = ask(port, "POST", "/predict", body)
        assert status == 200
        found += json.loads(reply)["predictions"]
    lines = logged(released / "var")
    assert {line["id"] for line in lines} == {prediction["id"] for prediction in found}
    assert len(lines) == 30
    rows, end = 0.0, time.monotonic() + 10
    while rows < 30 and time.monotonic() < end:  # each worker tells its figures at its next look
        text = ask(port, "GET", "/metrics")[1].decode()
        samples = [x for family in text_string_to_metric_families(text) for x in family.samples]
        rows = sum(sample.value for sample in samples if sample.name == "predictions_total")
    assert rows == 30
    asked = {"endpoint": "/predict", "status": "200"}
    assert [x.value for x in samples if x.name == "http_requests_total" and x.labels == asked] == [
        20
    ]
    service.send_signal(signal.SIGTERM)
    _, said = service.communicate(timeout=60)
    assert not ready(port)
    assert b"Traceback" not in said


def test_a_taken_port_is_refused_before_a_model_is_loaded(
    released: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVE_HOST", "127.0.0.1")
    monkeypatch.setenv("SERVE_PORT", str(port))
    taken = pytest.raises(Refusal, match=f"cannot serve on 127.0.0.1:{port}")
    with socket.create_server(("127.0.0.1", port)), taken:
        module.main()


def test_the_service_is_made_from_the_projects_configuration(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVE_API_KEY", "secret")
    front = module.create()
    assert front.service.limits.max_rows == 1000
    assert front.service.var == released / "var"
    assert front.allows(b"Bearer secret", 1) and not front.allows(b"", 1)
