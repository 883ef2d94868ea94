import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from {{ cookiecutter.__package }}.serving import metrics
from {{ cookiecutter.__package }}.serving.front import Front

from .figures import counted, figure
from .wire import ROW, connected, request

SHOWN = {"Authorization": "Bearer secret"}


def test_requests_are_counted_by_endpoint_and_status_whichever_way_they_take(
    front: Front,
) -> None:
    fine = counted("http_requests_total", endpoint="/predict", status="200")
    wrong = counted("http_requests_total", endpoint="/predict", status="400")
    unknown = counted("http_requests_total", endpoint="other", status="404")
    timed = counted("http_request_duration_seconds_count", endpoint="/predict")
    with connected(front) as wire:
        many = request(json.dumps([ROW] * 3).encode())
        wire.feed(request(), request(), many, request(b"{}"))
        wire.feed(request(line="POST /nowhere/secret HTTP/1.1"))
        assert wire.short == 2
    assert (fine(), wrong(), unknown(), timed()) == (3, 1, 1, 4)
    assert "secret" not in metrics.exposition().decode()


def test_paths_with_a_model_in_them_are_one_endpoint(client: TestClient) -> None:
    added = counted("http_requests_total", endpoint="/v2/models/{name}", status="404")
    client.get("/v2/models/a")
    client.get("/v2/models/b")
    assert added() == 2


REASONS: list[tuple[str, str, Any, dict[str, str]]] = [
    ("bad_request", "/predict", {}, SHOWN),
    ("too_large", "/predict", [ROW] * 51, SHOWN),
    ("body_too_large", "/predict", [ROW] * 500, SHOWN),
    ("unauthorized", "/predict", ROW, {}),
    ("not_found", "/nowhere", {}, SHOWN),
    ("method_not_allowed", "/model", {}, SHOWN),
]


@pytest.mark.parametrize(("reason", "path", "body", "headers"), REASONS)
def test_refusals_are_counted_by_reason(
    reason: str, path: str, body: Any, headers: dict[str, str], serve: Callable[..., Front]
) -> None:
    added = counted("http_requests_refused_total", reason=reason)
    TestClient(serve(key="secret")).post(path, json=body, headers=headers)
    assert added() == 1


def test_rows_are_counted_by_label(front: Front) -> None:
    leaves = ROW | {"age": 85, "visits.monthly": 0}
    stays = ROW | {"age": 50, "visits.monthly": 12}
    added = [counted("predictions_total", label=label) for label in "01"]
    with connected(front) as wire:
        wire.feed(*(request(json.dumps(x).encode()) for x in (leaves, [leaves, stays, leaves])))
    assert [count() for count in added] == [1, 3]


def test_durations_told_together_count_as_if_told_one_by_one() -> None:
    seconds = [0.0, 0.0004, *metrics.SECONDS, 0.0026, 3.0, 60.0]
    each, together = (
        metrics.Durations("a", "b", buckets=metrics.SECONDS, registry=None) for _ in range(2)
    )
    for value in seconds:
        each.observe(value)
    together.observe_all(seconds)
    told = [
        [sample.value for family in one.collect() for sample in family.samples]
        for one in (each, together)
    ]
    assert told[1] == pytest.approx(told[0])
    assert told[1][: len(metrics.SECONDS)] == [3, 4, 5, *range(7, 16)]


def test_the_version_in_service_and_its_age_are_shown(client: TestClient, front: Front) -> None:
    manifest = front.service.model().manifest
    assert figure("model_version") == manifest.version
    created = datetime.fromisoformat(manifest.created).timestamp()
    assert figure("model_created_timestamp_seconds") == created


@pytest.mark.parametrize(("policy", "status"), [("fail_closed", 503), ("fail_open", 200)])
def test_lines_that_the_log_did_not_take_are_counted(
    policy: str, status: int, serve: Callable[..., Front]
) -> None:
    front = serve(on_log_failure=policy)
    (front.service.var / "predictions").rmdir()
    (front.service.var / "predictions").touch()
    lost, rows = counted("prediction_log_failures_total"), counted("predictions_total", label="1")
    for _ in range(3):
        assert TestClient(front).post("/predict", json=ROW).status_code == status
    assert lost() == 3
    assert rows() == (3 if status == 200 else 0)


def test_a_log_that_fails_is_told_once(
    serve: Callable[..., Front], caplog: pytest.LogCaptureFixture
) -> None:
    front = serve()
    log = front.service.var / "predictions"
    client = TestClient(front)
    for failures in (3, 2):
        log.rmdir()
        log.touch()
        for _ in range(failures):
            client.post("/predict", json=ROW)
        log.unlink()
        client.post("/predict", json=ROW)
        front.service.log.close()
        for path in log.iterdir():
            path.unlink()
    told = [x for x in caplog.records if "the prediction log cannot be written" in x.getMessage()]
    assert len(told) == 2


def test_figures_are_in_prometheus_text_format(client: TestClient) -> None:
    client.post("/predict", json=ROW)
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"http_requests", "http_request_duration_seconds", "predictions"} <= families
    assert {"model_version", "model_swaps", "model_swap_failures"} <= families


COUNTING = """
import os, sys
from {package} import metrics
metrics.REQUESTS.labels("/predict", "200").inc(int(sys.argv[1]))
metrics.VERSION.set(int(sys.argv[1]))
metrics.IN_FLIGHT.set(int(sys.argv[1]))
print("ready", flush=True)
if input() == "show":
    print(metrics.exposition().decode(), flush=True)
"""


def test_figures_of_all_workers_are_added_up_and_those_of_the_dead_stay_counted(
    tmp_path: Path,
) -> None:
    def worker(number: int) -> subprocess.Popen[str]:
        code = COUNTING.replace("{package}", metrics.__name__.rpartition(".")[0])
        started = subprocess.Popen(
            [sys.executable, "-c", code, str(number)],
            env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert started.stdout and started.stdout.readline() == "ready\n"
        return started

    dead, alive, asked = worker(1), worker(2), worker(4)
    dead.kill()
    dead.wait()
    text, _ = asked.communicate("show\n", timeout=60)
    alive.communicate("\n", timeout=60)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    (requests,) = families["http_requests"].samples
    assert requests.value == 7
    assert sorted(sample.value for sample in families["model_version"].samples) == [2, 4]
    (in_flight,) = families["http_requests_in_flight"].samples
    assert in_flight.value == 6
