"""The registry on an MLflow server, which asks for more than its own files do."""

import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from demo.project import Project, free_port

from .chaos import asked, small
from .conftest import Lived

PATIENCE = 120.0
CHAMPION = "SELECT version FROM registered_model_aliases WHERE alias = 'champion'"


@pytest.fixture
def server(life: Lived, tmp_path: Path) -> Iterator[str]:
    """Address of a server with a registry of its own in server.db; files go through it."""
    address = f"http://127.0.0.1:{free_port()}"
    command = [
        str(life.project.folder / ".venv/bin/mlflow"), "server", "--workers", "1",
        "--host", "127.0.0.1", "--port", address.rpartition(":")[2],
        "--backend-store-uri", f"sqlite:///{tmp_path}/server.db",
        "--artifacts-destination", str(tmp_path / "artifacts"),
    ]  # fmt: skip
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            command, cwd=tmp_path, env=life.project.environment, stdout=output, stderr=output
        )
    try:
        end = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError):
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield address
    finally:
        running.terminate()
        running.wait(PATIENCE)


@pytest.fixture
def project(template: Path, life: Lived, tmp_path: Path, server: str) -> Project:
    """A small project that was released into its own registry, and now has the server's address."""
    made = small(template, tmp_path, life.project.folder / ".venv")
    made.environment["MLFLOW_TRACKING_URI"] = server
    return made


def test_release_retraining_and_rollback_work_through_a_server(
    project: Project, tmp_path: Path
) -> None:
    def champion() -> str:
        ((version,),) = asked(tmp_path / "server.db", CHAMPION)
        pointer = project.json("var/bundles/champion.json")["bundle"]
        assert pointer.startswith(f"v{version}-")
        return str(version)

    before = (project.folder / "var/mlflow.db").read_bytes()
    said = project.run("python", "-m", "customer_care.registry.release")
    assert "first model" in said  # the new registry begins empty
    assert champion() == "1"
    project.run("python", "-m", "customer_care.retrain")
    assert project.lines("var/journal.jsonl")[-1]["outcome"] == "promoted"
    assert champion() == "2"
    project.run("python", "-m", "customer_care.registry.rollback")
    assert champion() == "1"
    files = {path.name for path in (tmp_path / "artifacts").rglob("*") if path.is_file()}
    assert {"model.skops", "evaluation.png", "metrics.json"} <= files
    assert (project.folder / "var/mlflow.db").read_bytes() == before  # to go back to
