"""Projects on a small made-up table: built once, then copied for each test that changes one."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE
from types import SimpleNamespace

import duckdb
import pytest
from matplotlib.figure import Figure

# Small models are slower with threads that wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"

from {{ cookiecutter.__package }} import paths, table
from {{ cookiecutter.__package }}.registry import tracking
from {{ cookiecutter.__package }}.registry.release import release
from {{ cookiecutter.__package }}.registry.store import Store

from . import customers, project


@pytest.fixture(scope="session", autouse=True)
def one_database() -> Iterator[None]:
    """Each query opens a database of its own, which takes 17 ms: here they all share one."""
    with pytest.MonkeyPatch.context() as patch:
        shared = vars(duckdb) | {"connect": customers.DUCK.cursor}
        patch.setattr(table, "duckdb", SimpleNamespace(**shared))
        yield


@pytest.fixture(scope="session")
def built_evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after all stages and before any release, its MLflow database ready and empty."""
    folder = tmp_path_factory.mktemp("evaluated")
    with project.inside(folder):
        project.write_params()
        project.run()
        project.commit()
        (folder / "var").mkdir()
        import mlflow

        mlflow.set_tracking_uri(paths.tracking_uri())
        mlflow.MlflowClient().search_experiments()
    return folder


@pytest.fixture(scope="session")
def built_released(built_evaluated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after its first release."""
    folder = project.copied(built_evaluated, tmp_path_factory.mktemp("released") / "project")
    with project.inside(folder):
        assert release()
    return folder


@pytest.fixture(scope="session")
def built_replaced(built_released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after a better model has taken over as version 2."""
    folder = project.copied(built_released, tmp_path_factory.mktemp("replaced") / "project")
    with project.inside(folder):
        project.write_params(model=customers.MODELS["hist_gradient_boosting"])
        project.run("train", "evaluate")
        assert release()
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases log an empty picture: drawing takes longer than all the rest of one."""
    monkeypatch.setattr(tracking, "draw", lambda _: Figure(figsize=(1, 1)))


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    """Inside a new project with nothing but its configuration."""
    with project.inside(tmp_path):
        project.write_params()
        yield tmp_path


@pytest.fixture
def evaluated(built_evaluated: Path, tmp_path: Path, quick: None) -> Iterator[Path]:
    """Inside a copy of the evaluated project."""
    with project.inside(project.copied(built_evaluated, tmp_path / "project")) as folder:
        yield folder


@pytest.fixture
def released(built_released: Path, tmp_path: Path, quick: None) -> Iterator[Path]:
    """Inside a copy of the released project: version 1 is champion."""
    with project.inside(project.copied(built_released, tmp_path / "project")) as folder:
        yield folder


@pytest.fixture
def replaced(built_replaced: Path, tmp_path: Path, quick: None) -> Iterator[Path]:
    """Inside a copy of the project where version 2 is champion and version 1 the previous one."""
    with project.inside(project.copied(built_replaced, tmp_path / "project")) as folder:
        yield folder


@pytest.fixture
def elsewhere() -> Iterator[Callable[[str], None]]:
    """Call it to have another process hold the lock of that name until the test ends."""
    holders: list[subprocess.Popen[str]] = []
    code = "import sys; from filelock import FileLock\nwith FileLock(sys.argv[1]): print(); input()"

    def hold(name: str) -> None:
        command = [sys.executable, "-c", code, str(paths.VAR / f"{name}.lock")]
        process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True)
        holders.append(process)
        assert process.stdout
        process.stdout.readline()  # it has the lock now

    yield hold
    for process in holders:
        process.communicate("\n")


@pytest.fixture
def store() -> Store:
    """The registry of the project that the test is inside of: ask for that one first."""
    return Store(customers.PARAMS["name"])
