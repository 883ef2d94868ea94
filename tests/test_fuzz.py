"""Whatever is sent, the service neither fails nor hangs nor grows, and says what was wrong."""

import json
import math
import re
import socket
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lived
from .fuzzing import INFER, Case, cases, heads
from .service import Caller, Reply, Running, flights, prepare, serving, tensors

CASES = [2_000, pytest.param(20_000, marks=pytest.mark.full)]
MEGABYTE = 1 << 20
# A kilobyte kept for each row that is answered would be 3 MB in the last 15,000 cases. The
# allocator keeps what the longest body took; after that 0.3 MB were seen.
FLAT = 2 * MEGABYTE


def strict(body: bytes) -> Any:
    """A JSON value; NaN and infinities, which Python would read, fail the test."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in {body[:500]!r}")

    return json.loads(body, parse_constant=refuse)


def probabilities(path: str, found: Any) -> list[float]:
    if path == INFER:
        named = {output["name"]: output["data"] for output in found["outputs"]}
        return list(named.get("probability", []))
    if path == "/invocations":
        return [value for pair in found["predictions"] for value in pair]
    return [row["probability"] for row in found.get("predictions", [])]


def checked(case: Case, reply: Reply) -> None:
    """An answer that makes sense, or an error that says why there is none."""
    shown = (case.path, case.headers, case.body[:1000], reply)
    assert reply.headers["content-type"] == "application/json", shown
    found = strict(reply.body)
    if reply.status == 200:
        told = probabilities(case.path, found)
        assert all(math.isfinite(value) and 0 <= value <= 1 for value in told), shown
        return
    assert reply.status in (400, 413), shown
    assert set(found) == {"error", "field"}, shown
    assert isinstance(found["error"], str), shown
    assert found["error"], shown
    assert found["field"] is None or isinstance(found["field"], str), shown


@pytest.mark.parametrize("count", CASES)
def test_no_body_makes_the_service_fail_hang_or_grow(
    count: int, life: Lived, tmp_path: Path
) -> None:
    folder = prepare(life.project, tmp_path / "service", log_max_bytes=2**20)
    seen: Counter[tuple[str, int]] = Counter()
    with serving(life.project, folder) as service:
        caller, used = Caller(service.port, timeout=20), []
        for number, case in enumerate(islice(cases(flights(life.project), count), count)):
            reply = caller.ask(case.path, case.body, case.headers)
            checked(case, reply)
            seen[case.path, reply.status] += 1
            if number % (count // 20) == 0:
                used.append(service.memory())
        assert service.ask("/predict", flights(life.project)[0]).status == 200
        told = [line for line in service.log() if line["level"] != "INFO"]
    assert told == []
    for path in ("/predict", "/invocations", INFER):
        for status in (200, 400):
            assert seen[path, status] > count / 100  # both sides of the border were met
    assert used[-1] - used[len(used) // 4] < FLAT


def test_every_way_in_names_the_column_that_is_wrong(life: Lived, tmp_path: Path) -> None:
    folder = prepare(life.project, tmp_path / "service")
    row = next(row for row in flights(life.project) if None not in row.values())
    required = {
        name
        for name, column in life.project.json("schema.json").items()
        if not column.get("missing")
    }
    assert required
    with serving(life.project, folder) as service:

        def field(path: str, body: object) -> str | None:
            reply = service.ask(path, body)
            assert (reply.status, set(reply.json())) == (400, {"error", "field"}), (path, reply)
            found: str | None = reply.json()["field"]
            return found

        for name, value in row.items():
            wrong = row | {name: 1 if isinstance(value, str) else "wrong"}
            without = {column: row[column] for column in row if column != name}
            for bad in (wrong, without) if name in required else (wrong,):
                assert field("/predict", bad) == name
                assert field("/predict", [row, bad]) == f"[1].{name}"
                assert field("/invocations", {"dataframe_records": [row, bad]}) == f"[1].{name}"
                assert field(INFER, {"inputs": tensors([bad])}) == f"[0].{name}"
        more = row | {"passengers": 3}
        assert field("/predict", more) == "passengers"
        assert field(INFER, {"inputs": tensors([more])}) == "[0].passengers"
        assert field("/feedback", {"id": "0" * 32 + "-0", "label": 2}) == "label"


LAST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def statuses(port: int, sent: bytes, patience: float) -> list[int]:
    """Status of each answer to what is sent on a connection, and to one last request.

    Where the service waits for more, it is told after a while that nothing will come; then it must
    close.
    """
    said: list[bytes] = []
    with (
        socket.create_connection(("127.0.0.1", port), timeout=patience) as connection,
        suppress(ConnectionError),  # closed by the service before all was sent
    ):
        try:
            connection.sendall(sent + LAST)
            said.extend(iter(lambda: connection.recv(65536), b""))
        except TimeoutError:
            with suppress(OSError):  # closed by now
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(20)
            said.extend(iter(lambda: connection.recv(65536), b""))
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", b"".join(said))]


def both(port: int, head: bytes) -> tuple[list[int], list[int]]:
    """Statuses of the same head on the short way and on the long one, where a `?` leads."""
    short, long = head.replace(b"{}", b""), head.replace(b"{}", b"?")
    found = statuses(port, short, 0.2), statuses(port, long, 0.2)
    if found[0] != found[1]:  # perhaps because one of the answers took longer
        found = statuses(port, short, 2), statuses(port, long, 2)
    return found


@pytest.mark.parametrize("count", [300, pytest.param(5_000, marks=pytest.mark.full)])
def test_no_head_makes_the_service_fail_or_hang_and_both_ways_agree_on_it(
    count: int, life: Lived, tmp_path: Path
) -> None:
    folder = prepare(life.project, tmp_path / "service")
    body = json.dumps(flights(life.project)[0]).encode()
    seen: Counter[int] = Counter()
    with serving(life.project, folder) as service:
        known = open_files(service)
        with ThreadPoolExecutor(8) as pool:
            sent = list(islice(heads(body, count), count))
            for head, (short, long) in zip(
                sent, pool.map(lambda head: both(service.port, head), sent), strict=True
            ):
                assert short == long, head[:3000]
                assert all(status < 500 for status in short), head[:3000]
                seen.update(short)
        assert service.ask("/predict", flights(life.project)[0]).status == 200
        service.wait(lambda: open_files(service) <= known + 1)
        told = [line for line in service.log() if line["level"] not in ("INFO", "WARNING")]
    assert told == []
    assert min(seen[200], seen[400]) > count / 10


def open_files(service: Running) -> int:
    return len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))


@pytest.mark.parametrize("examples", [10, pytest.param(300, marks=pytest.mark.full)])
def test_schemathesis_finds_the_service_as_its_openapi_document_says(
    examples: int, life: Lived, published: Path, tmp_path: Path
) -> None:
    folder = prepare(life.project, tmp_path / "service")
    # The bodies of other protocols are documented where those are: here anything is a valid one.
    # MLflow's answer to /ping is a line feed that says it is JSON, and so is ours.
    everything_else = ["--exclude-checks", "positive_data_acceptance", "--exclude-path", "/ping"]
    ours = ["--include-path-regex", "^/(predict|feedback)$"]
    with serving(life.project, folder) as service:
        for which in (ours, everything_else):
            done = subprocess.run(
                [
                    str(published / "schemathesis"),
                    "run",
                    f"http://127.0.0.1:{service.port}/openapi.json",
                    *("--phases", "examples,coverage,fuzzing", "--continue-on-failure"),
                    *("--max-examples", str(examples), "--seed", "1", "--no-color"),
                    *which,
                ],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
            assert service.ready()
        assert not [line for line in service.log() if line["level"] == "ERROR"]
