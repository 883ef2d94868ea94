"""What many tests look at, made once: the template as git carries it, one bake, one whole life."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import demo.steps
from demo.project import TEMPLATE, Project, bake
from demo.steps import Life


class Lived(NamedTuple):
    """A project after its whole life, and what each step saw."""

    project: Project
    facts: dict[str, Any]
    seconds: dict[str, float]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--life", metavar="FOLDER", help="look at a life `make demo` has left there")


def git(folder: Path, *arguments: str) -> str:
    """What a git command prints; its failure fails the test."""
    me = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    return subprocess.run(
        ["git", *me, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def carried(folder: Path) -> list[str]:
    """The files of a checkout that git carries to others: tracked, or new and not ignored."""
    found = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return sorted({name for name in found if name and (folder / name).is_file()})


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template with what git carries and nothing else.

    MML 8 lost a module to its own .gitignore: everything here is baked from such a copy.
    """
    copy = tmp_path_factory.mktemp("template") / "mlops-template"
    for name in carried(TEMPLATE):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TEMPLATE / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def baked(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default project as baked, never changed by a test."""
    return bake(tmp_path_factory.mktemp("baked") / "out", template)


def installed(lock: Path, folder: Path) -> Path:
    """An environment with what a lock file names."""
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", str(folder)], check=True)
    locked = ["--require-hashes", "-r", str(lock)]
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(folder), *locked], check=True)
    return folder


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs that others have made for calling services."""
    folder = tmp_path_factory.mktemp("published") / "venv"
    return installed(TEMPLATE / "locks/clients.txt", folder) / "bin"


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stand-ins for the stores of Amazon and Google."""
    folder = tmp_path_factory.mktemp("emulators") / "venv"
    return installed(TEMPLATE / "locks/emulators.txt", folder) / "bin"


@pytest.fixture(scope="session")
def life(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lived]:
    """The whole life of a default project, step by step as `make demo` takes it."""
    if left := request.config.getoption("--life"):
        facts = json.loads((Path(left) / "facts.json").read_text(encoding="utf-8"))
        seconds = dict.fromkeys(facts, 1.0)
        yield Lived(Project(Path(facts["bake"]["folder"])), facts, seconds)
        return
    lived = Life(tmp_path_factory.mktemp("life") / "out", lambda line: None)
    facts = {}
    seconds = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo.steps, "bake", lambda output: bake(output, template))
        try:
            for title, step in lived.steps():
                began = time.perf_counter()
                try:
                    facts[step.__name__] = step()
                except Exception as error:
                    raise AssertionError(f"the life failed at: {title}\n{error}") from error
                seconds[title] = time.perf_counter() - began
            yield Lived(lived.project, facts, seconds)
        finally:
            lived.close()
