"""The contestants of `benchmarks.serving`: their environments, commands, requests and answers."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.project import Project, free_port

from .timing import timed

TEMPLATE = Path(__file__).resolve().parents[1]
PEERS = "benchmarks.contestants"
BENTOML = "bentoml==1.4.39"
PINNED = "fastapi httptools joblib numpy pandas pydantic scikit-learn starlette uvicorn uvloop"

OURS, PAIR = "ours", "ours, 2 workers"
MLFLOW, HANDMADE, PYDANTIC = "mlflow models serve", "hand-made FastAPI", "FastAPI pydantic no-op"
ASGI, BENTO, BATCHING = "bare ASGI no-op", "BentoML", "BentoML, adaptive batching"

Row = dict[str, Any]


@dataclass(frozen=True)
class Contestant:
    """A server to measure.

    `body` makes a request of rows; `read` takes the probabilities from an answer, and is None for
    a server that computes none.
    """

    name: str
    venv: Path
    folder: Path
    command: list[str]
    path: str
    body: Callable[[list[Row]], object]
    read: Callable[[Any], list[float]] | None
    batches: bool
    port: int
    cores: str = "0"
    environment: dict[str, str] = field(default_factory=dict)


def environments(project: Project, scratch: Path) -> dict[str, Path]:
    """An environment for every kind of server, with the same versions as the project's."""
    uv = shutil.which("uv")
    assert uv
    pins = scratch / "pins.txt"
    lines = (project.folder / "locks/pipeline.txt").read_text(encoding="utf-8").splitlines()
    # BentoML cannot live with all of the project's versions.
    kept = [line.rstrip(" \\") for line in lines if line.split("==")[0] in PINNED.split()]
    pins.write_text("\n".join(kept), encoding="utf-8")
    server = ["uvicorn", "httptools", "uvloop"]
    model = ["joblib", "pandas", "scikit-learn"]
    needs = {
        "serve": [["--require-hashes", "-r", "locks/serve.txt"], ["--no-deps", "."]],
        "asgi": [["-c", str(pins), *server]],
        "pydantic": [["-c", str(pins), *server, "fastapi"]],
        "fastapi": [["-c", str(pins), *server, "fastapi", *model]],
        "bento": [["-c", str(pins), *server, BENTOML, *model]],
    }
    found = {"project": project.folder / ".venv"}
    for name, installs in needs.items():
        found[name] = venv = scratch / "environments" / name
        timed(
            project.folder,
            project.environment,
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(venv)],
            *([uv, "pip", "install", "--quiet", "--python", str(venv), *i] for i in installs),
        )
    return found


def contestants(project: Project, scratch: Path) -> list[Contestant]:
    """All of them, ready to be started."""
    venvs = environments(project, scratch)
    package = next((project.folder / "src").iterdir()).name
    name, inputs = project.json("params.json")["name"], project.json("schema.json")
    # The service writes its log beside the bundles, so both are copied away from the project.
    shutil.copytree(project.folder / "var/bundles", scratch / "var/bundles", dirs_exist_ok=True)
    model = {"MODEL": str(project.folder / "models/model.joblib")}

    def ours(title: str, workers: int, cores: str) -> Contestant:
        return Contestant(
            title,
            venvs["serve"],
            project.folder,
            ["python", "-m", f"{package}.serving"],
            "/predict",
            lambda rows: rows[0] if len(rows) == 1 else rows,
            lambda answer: [one["probability"] for one in answer["predictions"]],
            batches=True,
            port=(port := free_port()),
            cores=cores,
            environment={
                "SERVE_PORT": str(port),
                "SERVE_WORKERS": str(workers),
                "VAR_DIR": str(scratch / "var"),
            },
        )

    def uvicorn(title: str, venv: str, module: str, answers: bool) -> Contestant:
        port = free_port()
        command = ["uvicorn", f"{PEERS}.{module}:app", "--port", str(port), "--no-access-log"]
        return Contestant(
            title,
            venvs[venv],
            TEMPLATE,
            [*command, "--log-level", "warning", "--loop", "uvloop", "--http", "httptools"],
            "/predict",
            lambda rows: rows[0],
            (lambda answer: [answer["probability"]]) if answers else None,
            batches=False,
            port=port,
            environment=model,
        )

    def bento(title: str, batching: dict[str, str]) -> Contestant:
        listen = ["--host", "127.0.0.1", "--port", str(port := free_port())]
        return Contestant(
            title,
            venvs["bento"],
            TEMPLATE,
            ["bentoml", "serve", f"{PEERS}.bento:Service", *listen],
            "/predict",
            lambda rows: {"rows": rows},
            lambda answer: list(answer),
            batches=True,
            port=port,
            environment={**model, **batching, "BENTOML_HOME": str(scratch / "bentoml")},
        )

    port = free_port()
    champion = ["--model-uri", f"models:/{name}@champion", "--env-manager", "local"]
    store = f"sqlite:///{(project.folder / 'var/mlflow.db').as_posix()}"
    mlflow = Contestant(
        MLFLOW,
        venvs["project"],
        scratch,
        ["mlflow", "models", "serve", *champion, "--port", str(port)],
        "/invocations",
        # It would warn of the key and the time at every request.
        lambda rows: {"dataframe_records": [{n: row[n] for n in inputs} for row in rows]},
        lambda answer: [pair[1] for pair in answer["predictions"]],
        batches=True,
        port=port,
        environment={"MLFLOW_TRACKING_URI": store, "UVICORN_ACCESS_LOG": "false"},
    )
    return [
        ours(OURS, 1, "0"),
        mlflow,
        uvicorn(HANDMADE, "fastapi", "handmade", answers=True),
        uvicorn(PYDANTIC, "pydantic", "pydantic_noop", answers=False),
        uvicorn(ASGI, "asgi", "asgi_noop", answers=False),
        bento(BENTO, {}),
        bento(BATCHING, {"BATCHING": "1"}),
        ours(PAIR, 2, "0,1"),
    ]


def variables(contestant: Contestant, project: Project) -> dict[str, str]:
    """Its environment variables: one thread for every library, nobody's telemetry."""
    return {
        **project.environment,
        "PATH": f"{contestant.venv / 'bin'}{os.pathsep}{project.environment['PATH']}",
        "OMP_NUM_THREADS": "1",
        "DO_NOT_TRACK": "true",
        "BENTOML_DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **contestant.environment,
    }
