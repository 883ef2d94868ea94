"""Baking as users do: from a git address, into other repositories, below awkward paths."""

import hashlib
from pathlib import Path

import pytest

from demo.project import bake

from .conftest import Lived, carried, git
from .inside import borrowed, ran

AWKWARD = "große Pläne, 데이터 & it's"


@pytest.fixture(scope="module")
def address(template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bare repository that holds the template as it is now."""
    folder = tmp_path_factory.mktemp("address")
    work, bare = folder / "work", folder / "mlops-template.git"
    work.mkdir()
    for name in carried_files(template):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes((template / name).read_bytes())
        (work / name).chmod((template / name).stat().st_mode)
    git(work, "init", "--quiet")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "The template")
    git(work, "clone", "--quiet", "--bare", str(work), str(bare))
    return f"file://{bare}"


def carried_files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def tree(folder: Path) -> dict[str, tuple[str, int]]:
    """Content and mode of every file but git's own."""
    return {
        name: (hashlib.sha256((folder / name).read_bytes()).hexdigest(), mode(folder / name))
        for name in carried_files(folder)
        if not name.startswith(".git/")
    }


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o111


def test_a_git_address_bakes_the_same_project_as_the_folder(
    address: str, baked: Path, tmp_path: Path
) -> None:
    # MML 8: what .gitignore kept back was there for the author and missing for everybody else.
    folder = bake(tmp_path / "out", address)

    assert folder.name == baked.name
    assert tree(folder) == tree(baked)
    assert len(tree(folder)) > 80
    assert carried(folder) == list(tree(folder))


def test_a_bake_inside_a_repository_makes_no_repository_of_its_own(
    template: Path, tmp_path: Path
) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "--quiet")

    inner = bake(outer / "projects", template)

    assert not (inner / ".git").exists()
    assert git(inner, "rev-parse", "--show-toplevel").strip() == str(outer)
    git(outer, "add", "projects/flight-delays")
    listed = git(outer, "ls-files", "projects/flight-delays/src").splitlines()
    assert "projects/flight-delays/src/flight_delays/pipeline/train.py" in listed


def test_a_bake_into_a_folder_that_the_repository_ignores_makes_its_own(
    template: Path, tmp_path: Path
) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "--quiet")
    (outer / ".gitignore").write_text("/build/\n", encoding="utf-8")

    inner = bake(outer / "build/out", template)

    assert git(inner, "rev-parse", "--show-toplevel").strip() == str(inner)
    assert git(outer, "status", "--porcelain").split() == ["??", ".gitignore"]


def test_a_path_with_blanks_and_letters_of_other_alphabets_works(
    template: Path, life: Lived, baked: Path, tmp_path: Path
) -> None:
    folder = bake(tmp_path / AWKWARD / "out", template)
    assert tree(folder) == tree(baked)
    (folder / ".venv").symlink_to(life.project.folder / ".venv")
    project = borrowed(folder)

    said = project.run("dvc", "repro", "compose")

    assert ran(said) == ["compose"]
    composed, lived = project.json("params.json"), life.project.json("params.json")
    assert composed["partitions"] == lived["partitions"][:6]
    assert composed | {"partitions": 0} == lived | {"partitions": 0}
