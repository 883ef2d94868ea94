"""The service of a lived project as a real process, with a state of its own, and its callers."""

import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from demo.project import PATIENCE, Project, free_port

from .inside import ask, cached, lock

ROWS = """
import json
import duckdb
found = duckdb.sql(
    "SELECT * EXCLUDE (flight_id, scheduled_departure, late) FROM 'data/raw/2013-07.parquet' "
    "USING SAMPLE reservoir(60 ROWS) REPEATABLE (7)"
)
names = found.columns
print(json.dumps([dict(zip(names, row)) for row in found.fetchall()]))
"""

BY_SCIKIT_LEARN = """
import json, sys
import joblib, pandas
rows = pandas.DataFrame(json.loads(sys.argv[1]))
numbers = rows.select_dtypes("number").columns
rows = rows.astype(dict.fromkeys(numbers, "float64"))
models = [joblib.load(path) for path in sys.argv[2:]]
found = [model.predict_proba(rows[list(model.feature_names_in_)])[:, 1] for model in models]
print(json.dumps([probabilities.tolist() for probabilities in found]))
"""


class Reply(NamedTuple):
    """One answer over HTTP; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's JSON value."""
        return json.loads(self.body)

    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Caller:
    """One keep-alive connection."""

    def __init__(self, port: int, timeout: float = 30, host: str = "127.0.0.1") -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout)
        self.kept = False  # open since an answer that did not say it would be closed

    def ask(
        self, path: str, sent: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """GET, or POST what is given; raises OSError or HTTPException without an answer."""
        method = "GET" if sent is None else "POST"
        try:
            self._connection.request(method, path, sent, dict(headers or {}))
            reply = self._connection.getresponse()
            found = {name.lower(): value for name, value in reply.getheaders()}
            body = reply.read()
            self.kept = self._connection.sock is not None
            return Reply(reply.status, found, body)
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@dataclass
class Running:
    """A started service: its process, where it listens, its state and what it says."""

    process: subprocess.Popen[bytes]
    port: int
    var: Path
    said: Path

    def ask(self, path: str, body: object = None, **headers: str) -> Reply:
        """One request on a connection of its own; a body that is not bytes is sent as JSON."""
        caller = Caller(self.port)
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            return caller.ask(path, sent, named)
        finally:
            caller.close()

    def log(self) -> list[dict[str, Any]]:
        """The lines the service has written about itself."""
        return [json.loads(line) for line in self.said.read_bytes().splitlines()]

    def figures(self, **headers: str) -> dict[str, float]:
        """Value by series, as /metrics tells them."""
        text = self.ask("/metrics", **headers).body.decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {series: float(value) for series, _, value in lines}

    def workers(self) -> list[int]:
        """Ids of the processes that answer: the process itself, or its workers."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        found = []
        for child in map(int, listed.split()):
            try:
                command = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue  # gone in the meantime
            if b"spawn_main" in command:
                found.append(child)
        return found or [self.process.pid]

    def memory(self) -> int:
        """Resident bytes of all who answer."""
        return sum(_resident(worker) for worker in self.workers())

    def wait(self, condition: Callable[[], bool]) -> None:
        """Ask until the condition holds; fails with what the service has said."""
        began = time.perf_counter()
        while time.perf_counter() - began < PATIENCE:
            assert self.process.poll() is None, self.said.read_text(encoding="utf-8")
            try:
                if condition():
                    return
            except (OSError, http.client.HTTPException):
                pass  # not listening yet, or just killed
            time.sleep(0.02)
        raise AssertionError(f"waited in vain:\n{self.said.read_text(encoding='utf-8')[-5000:]}")

    def wait_for(self, ask: Callable[[], Reply], status: int) -> Reply:
        """Ask until the answer has a status; returns that answer."""
        found: list[Reply] = []

        def asked() -> bool:
            found.append(ask())
            return found[-1].status == status

        self.wait(asked)
        return found[-1]

    def ready(self) -> bool:
        """Whether a model is loaded."""
        return self.ask("/health/ready").status == 200

    def serves(self, version: int, **headers: str) -> bool:
        """Whether this version answers."""
        return bool(self.ask("/model", **headers).json()["version"] == version)


def _resident(process: int) -> int:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def prepare(project: Project, folder: Path, **settings: object) -> Path:
    """A folder to start the service in: its settings, and a state with the released bundles."""
    folder.mkdir(parents=True, exist_ok=True)
    params = project.json("params.json")
    assert set(settings) <= set(params["serving"])
    params["serving"] |= settings
    (folder / "params.json").write_text(json.dumps(params), encoding="utf-8")
    shutil.copy(project.folder / "schema.json", folder)
    shutil.copytree(project.folder / "var/bundles", folder / "var/bundles")
    return folder


@contextmanager
def serving(project: Project, folder: Path, *command: str, **environment: str) -> Iterator[Running]:
    """The service in a prepared folder, from its readiness on; gone at the end in any case."""
    package = project.folder.name.replace("-", "_")
    port, said = free_port(), folder / "said.jsonl"
    variables = {"VAR_DIR": str(folder / "var"), "SERVE_PORT": str(port)} | environment
    python = str(project.folder / ".venv/bin/python")
    with said.open("ab") as output:
        process = subprocess.Popen(
            [python, *(command or ("-m", f"{package}.serving"))],
            cwd=folder,
            env=project.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(process, port, folder / "var", said)
    try:
        running.wait(running.ready)
        yield running
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a session's processes, whatever is left of them."""
    with suppress(ProcessLookupError):  # all gone
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@cache
def flights(project: Project) -> list[dict[str, Any]]:
    """Real rows that neither version has been trained on."""
    found: list[dict[str, Any]] = ask(project, ROWS)
    return found


@cache
def by_scikit_learn(project: Project) -> dict[int, list[float]]:
    """What the fitted pipelines in DVC's cache say of these rows, by version."""
    models = [
        str(cached(project, lock(project, commit)["models/model.joblib"]))
        for commit in ("HEAD~1", "HEAD")
    ]
    told = ask(project, BY_SCIKIT_LEARN, json.dumps(flights(project)), *models)
    return dict(zip((1, 2), told, strict=True))


def point(var: Path, bundle: str) -> None:
    """Make a bundle champion, as a promotion does: the pointer is written aside and moved."""
    pointer = var / "bundles/champion.json"
    aside = pointer.with_suffix(".aside")
    aside.write_text(json.dumps({"bundle": bundle, "since": f"{time.time_ns()}"}), encoding="utf-8")
    aside.rename(pointer)


def bundles(var: Path) -> dict[int, str]:
    """Names of the released bundles by version."""
    found = sorted((var / "bundles").glob("v*/bundle.json"))
    return {json.loads(path.read_text())["version"]: path.parent.name for path in found}


def logged(var: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines of the prediction log, and how many files end with a torn one.

    Raises ValueError for a line within a file that is not JSON.
    """
    found, torn = [], 0
    for path in sorted((var / "predictions").glob("*.jsonl")):
        *lines, rest = path.read_bytes().split(b"\n")
        found += [json.loads(line) for line in lines]
        torn += bool(rest)
    return found, torn


class Answer(NamedTuple):
    """What a caller was told about one row."""

    row: int
    version: int
    probability: float
    id: str


class Broken(NamedTuple):
    """A request without an answer, and whether its connection was one that the service had kept."""

    error: str
    kept: bool


@dataclass
class Load:
    """Callers that ask without a pause until they are told to stop, and remember every answer.

    A caller whose connection breaks notes it and opens another.
    """

    port: int
    rows: list[dict[str, Any]]
    callers: int = 8
    answers: list[Answer] = field(default_factory=list)
    refusals: list[Reply] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Ask in the background."""
        threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(self.callers)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.stop()
            for thread in threads:
                thread.join()

    def stop(self) -> None:
        """Let each caller end with the answer it waits for."""
        self._over.set()

    def _ask(self, number: int) -> None:
        chosen = random.Random(number)  # noqa: S311 - not a secret
        caller = Caller(self.port)
        ways = (one, one, one, many, mlflow, open_inference)
        while not self._over.is_set():
            way = chosen.choice(ways)
            count = 1 if way is one else chosen.choice((1, 2, 10, 100, 300))
            rows = chosen.choices(range(len(self.rows)), k=count)
            try:
                found = way(caller, [self.rows[row] for row in rows])
            except (OSError, http.client.HTTPException) as error:
                self.broken.append(Broken(repr(error), caller.kept))
                caller.kept = False
                continue
            if isinstance(found, Reply):
                self.refusals.append(found)
            else:
                version, told = found
                assert len(told) == len(rows)
                self.answers += [
                    Answer(row, version, probability, id)
                    for row, (probability, id) in zip(rows, told, strict=True)
                ]
        caller.close()


Told = tuple[int, list[tuple[float, str]]] | Reply
Rows = Sequence[Mapping[str, Any]]


def one(caller: Caller, rows: Rows) -> Told:
    """Ask /predict for a single row."""
    return _predict(caller, rows[0])


def many(caller: Caller, rows: Rows) -> Told:
    """Ask /predict for a list."""
    return _predict(caller, rows)


def _predict(caller: Caller, body: object) -> Told:
    reply = caller.ask("/predict", json.dumps(body).encode())
    if reply.status != 200:
        return reply
    found = reply.json()
    told = [(prediction["probability"], prediction["id"]) for prediction in found["predictions"]]
    return found["version"], told


def mlflow(caller: Caller, rows: Rows) -> Told:
    """Ask as MLflow's clients do."""
    names = list(rows[0])
    table = {"columns": names, "data": [[row[name] for name in names] for row in rows]}
    body = json.dumps({"dataframe_split": table}).encode()
    reply = caller.ask("/invocations", body, {"content-type": "application/json"})
    if reply.status != 200:
        return reply
    found = reply.json()
    told = [late for _, late in found["predictions"]]
    return found["version"], list(zip(told, found["ids"], strict=True))


def tensors(rows: Rows) -> list[dict[str, Any]]:
    """Rows as one JSON tensor a column."""
    return [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": "BYTES" if any(isinstance(row[name], str) for row in rows) else "FP64",
            "data": [row[name] for row in rows],
        }
        for name in rows[0]
    ]


def open_inference(caller: Caller, rows: Rows) -> Told:
    """Ask as clients of the Open Inference Protocol do, for the model of the default project."""
    body = json.dumps({"inputs": tensors(rows)}).encode()
    reply = caller.ask("/v2/models/flight-delays/infer", body)
    if reply.status != 200:
        return reply
    found = reply.json()
    outputs = {output["name"]: output["data"] for output in found["outputs"]}
    told = list(zip(outputs["probability"], outputs["id"], strict=True))
    return int(found["model_version"]), told
