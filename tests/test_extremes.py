"""Places and circumstances a project must work in: within a repository, without git, offline."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import demo.steps
from demo.project import Project, bake
from demo.steps import Life

from .conftest import Lived, git
from .inside import REGISTRY, ask, borrowed, ran, ready
from .test_bake_from_git import AWKWARD

# Runs a command where there is no network but the machine's own loopback, which it starts.
ALONE = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1))  # SIOCSIFFLAGS, IFF_UP
os.execvp(sys.argv[1], sys.argv[1:])
"""
OFFLINE = ["unshare", "--map-root-user", "--net", sys.executable, "-c", ALONE]

# Starts the service as its owner does, asks it for its own example, and stops it.
ASK = """
import json, sys
from pathlib import Path
from demo.project import Project
project = Project(Path.cwd())
project.environment["PYTHONPATH"] = str(Path("src").resolve())
with project.serving():
    said = project.get("/openapi.json")["paths"]["/predict"]["post"]["requestBody"]["content"]
    row = said["application/json"]["examples"]["one row"]["value"]
    print(json.dumps({"model": project.get("/model"), "answer": project.post("/predict", row)}))
"""


class Offline(NamedTuple):
    """A project in the folder of another repository, and what it did without a network."""

    outer: Path
    project: Project
    repro: str
    release: str
    served: dict[str, Any]


def can_be_alone() -> bool:
    """Whether this machine lets a process have a network of its own."""
    try:
        done = subprocess.run([*OFFLINE, "true"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def lent(folder: Path, life: Lived) -> Project:
    """A baked project with the environment of another, which make finds ready."""
    (folder / ".venv").symlink_to(life.project.folder / ".venv")
    ready(folder)
    return borrowed(folder)


@pytest.fixture(scope="module")
def offline(
    life: Lived, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Offline]:
    """Baked into another's repository; then cut off, from `dvc repro` to an answer."""
    if not can_be_alone():
        pytest.skip("no process may have a network of its own here")
    outer = tmp_path_factory.mktemp("outer") / "everything"
    outer.mkdir()
    git(outer, "init", "--quiet")
    (outer / "note.txt").write_text("Not the project's.\n", encoding="utf-8")
    git(outer, "add", "note.txt")
    git(outer, "commit", "--quiet", "--message", "What was there before")
    project = lent(bake(outer / "projects/ours", template), life)
    git(outer, "add", "projects/ours")
    git(outer, "commit", "--quiet", "--message", "The project")
    repro = project.run(*OFFLINE, "dvc", "repro")
    git(outer, "add", "projects/ours")
    git(outer, "commit", "--quiet", "--message", "The first model")
    release = project.run(*OFFLINE, "make", "release")
    project.environment["PYTHONPATH"] = str(Path(demo.steps.__file__).parents[1])
    told = project.run(*OFFLINE, sys.executable, "-c", ASK)
    yield Offline(outer, project, repro, release, json.loads(told.splitlines()[-1]))


def test_without_a_network_the_pipeline_the_release_and_the_service_work(offline: Offline) -> None:
    assert len(ran(offline.repro)) == 6
    assert "version 1" in offline.release
    assert offline.served["model"]["version"] == 1
    assert offline.served["answer"]["version"] == 1


def test_within_another_repository_only_the_projects_folder_is_touched(offline: Offline) -> None:
    inner = "projects/ours/flight-delays"
    assert not (offline.project.folder / ".git").exists()
    assert sorted(path.name for path in offline.outer.iterdir()) == [".git", "note.txt", "projects"]
    since = git(offline.outer, "diff", "--name-only", "HEAD~2").splitlines()
    assert all(path.startswith(f"{inner}/") for path in since)
    assert f"{inner}/dvc.lock" in since
    left = git(offline.outer, "status", "--porcelain").split()
    assert left == ["??", "projects/.ours.cookiecutter/"]  # the baking test's own


def test_within_another_repository_a_release_names_its_commit(offline: Offline) -> None:
    (run,) = ask(offline.project, REGISTRY)["runs"].values()
    assert run["tags"]["git_commit"] == git(offline.outer, "rev-parse", "HEAD").strip()


def test_the_bake_says_where_github_looks_for_workflows(template: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert "move .github/workflows there" in said_while_baking(template, tmp_path)


def test_without_git_the_project_is_baked_and_told_what_to_do(
    template: Path, tmp_path: Path, life: Lived, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path / "nothing"))
        said = said_while_baking(template, tmp_path)

    assert "run `git init` in the project before `dvc repro`" in said
    folder = tmp_path / "flight-delays"
    assert not (folder / ".git").exists()
    project = lent(folder, life)
    git(folder, "init", "--quiet")
    assert ran(project.run("dvc", "repro", "compose")) == ["compose"]


def said_while_baking(template: Path, folder: Path) -> str:
    settings = folder / "settings.json"
    places = {name: str(folder / name) for name in ("cookiecutters_dir", "replay_dir")}
    settings.write_text(json.dumps(places), encoding="utf-8")
    command = [sys.executable, "-m", "cookiecutter", "--config-file", str(settings)]
    return subprocess.run(
        [*command, "--no-input", "-o", str(folder), str(template)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.full
def test_a_whole_life_passes_below_a_path_with_blanks_and_other_letters(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo.steps, "bake", lambda output: bake(output, template))
    life = Life(tmp_path / AWKWARD / "out", lambda line: None)
    facts = {}
    try:
        for _, step in life.steps():
            facts[step.__name__] = step()
    finally:
        life.close()
    assert facts["swapped_back"]["model"]["version"] == 1
    remote = life.project.folder.parent / "flight-delays.dvc-remote"
    assert len(list(remote.rglob("*"))) > 7
    shutil.rmtree(tmp_path / AWKWARD)
