import subprocess
from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import files, paths
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.registry import lineage

from .. import customers, project


def head() -> str:
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_it_names_data_model_parameters_and_commit(evaluated: Path) -> None:
    made = lineage.read()
    assert made.data_md5 == project.md5(paths.RAW)
    assert made.model_md5 == files.digest(paths.MODEL, "md5")
    assert made.parameters["model"] == customers.PARAMS["model"]
    assert made.git_commit == head()
    assert len(made.fingerprint) == 64


def test_uncommitted_changes_are_said(evaluated: Path) -> None:
    paths.PARAMS.write_text("changed")
    assert lineage.read().git_commit == f"{head()}+changes"


def test_a_project_outside_git_has_no_commit(built_evaluated: Path, tmp_path: Path) -> None:
    with project.inside(project.copied(built_evaluated, tmp_path / "project")) as folder:
        (folder / ".git").rename(folder / "git")
        assert lineage.read().git_commit == "none"


def test_the_same_model_has_the_same_fingerprint(evaluated: Path) -> None:
    before = lineage.read().fingerprint
    project.run("train", "evaluate")
    assert lineage.read().fingerprint == before


def test_another_parameter_gives_another_fingerprint(evaluated: Path) -> None:
    before = lineage.read().fingerprint
    project.write_params(threads=2)
    project.run("train", "evaluate")
    assert lineage.read().fingerprint != before


@pytest.mark.parametrize("path", [paths.MODEL, paths.HOLDOUT, paths.METRICS])
def test_a_file_that_is_not_the_recorded_one_is_refused_by_name(
    path: Path, evaluated: Path
) -> None:
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Refusal, match=f"{path.as_posix()} is not the one that dvc.lock records"):
        lineage.read()


def test_a_missing_file_is_refused_by_name(evaluated: Path) -> None:
    paths.MODEL.unlink()
    with pytest.raises(Refusal, match=paths.MODEL.as_posix()):
        lineage.read()


def test_without_a_lock_the_pipeline_has_to_run(evaluated: Path) -> None:
    Path("dvc.lock").unlink()
    with pytest.raises(Refusal, match=r"dvc\.lock is not here: run `dvc repro`"):
        lineage.read()


def test_a_lock_of_half_a_pipeline_is_refused(evaluated: Path) -> None:
    lock = Path("dvc.lock")
    lock.write_text(lock.read_text().replace('"evaluate":', '"other":'))
    with pytest.raises(Refusal, match="no stage evaluate"):
        lineage.read()
