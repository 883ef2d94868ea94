"""What `dvc repro` runs again after a change, and what a colleague gets: in copies of a life."""

import hashlib
import shutil
from pathlib import Path

import pytest
import yaml

from demo.project import Project

from .conftest import Lived, git
from .inside import borrowed, copy, edit, now_locked, ran, refusal


@pytest.fixture
def other(life: Lived, tmp_path: Path) -> Project:
    """A copy of the lived project."""
    return copy(life.project, tmp_path / "copy")


def skipped(said: str) -> set[str]:
    return {line.split("'")[1] for line in said.splitlines() if line.endswith("skipping")}


def hashes(folder: Path, *parts: str) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for part in parts
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    }


def test_a_serving_setting_composes_again_and_trains_nothing(other: Project) -> None:
    assert ran(other.run("dvc", "repro")) == []
    before = now_locked(other)
    edit(other, "conf/serving/default.yaml", "max_rows: 10000", "max_rows: 77")

    said = other.run("dvc", "repro")

    assert ran(said) == ["compose"]
    assert skipped(said) == {"ingest", "validate", "split", "train", "evaluate"}
    assert other.json("params.json")["serving"]["max_rows"] == 77
    after = now_locked(other)
    assert {path for path in after if after[path] != before[path]} <= {"params.json"}


def test_a_knob_of_the_model_trains_and_evaluates_and_does_no_more(other: Project) -> None:
    before = now_locked(other), other.json("reports/metrics.json")
    path = "conf/model/hist_gradient_boosting.yaml"
    edit(other, path, "learning_rate: 0.05", "learning_rate: 0.06")

    said = other.run("dvc", "repro")

    assert ran(said) == ["compose", "train", "evaluate"]
    assert skipped(said) == {"ingest", "validate", "split"}
    after = now_locked(other), other.json("reports/metrics.json")
    assert after[0]["models/model.joblib"] != before[0]["models/model.joblib"]
    assert after[0]["data/split/train.parquet"] == before[0]["data/split/train.parquet"]
    assert after[1]["model"] != before[1]["model"]
    assert after[1]["baseline"] == before[1]["baseline"]


def test_training_twice_gives_the_same_bytes(other: Project) -> None:
    before = now_locked(other)
    model = other.folder / "models/model.joblib"
    old = model.stat().st_mtime_ns

    said = other.run("dvc", "repro", "--force", "--single-item", "train")

    assert ran(said) == ["train"]
    assert "fitted on" in said  # not taken from a cache
    assert model.stat().st_mtime_ns > old
    assert hashlib.md5(model.read_bytes()).hexdigest() == before["models/model.joblib"]  # noqa: S324
    assert now_locked(other) == before


def test_a_stage_depends_on_no_file_that_git_does_not_carry(life: Lived) -> None:
    # Compiled bytecode in a dependency makes every other checkout run the stage again.
    found = yaml.safe_load((life.project.folder / "dvc.lock").read_text(encoding="utf-8"))
    deps = {dep["path"]: dep for stage in found["stages"].values() for dep in stage["deps"]}
    folders = {path: dep["nfiles"] for path, dep in deps.items() if "nfiles" in dep}
    del folders["data/raw"]  # kept by DVC
    assert "conf" in folders
    for path, files in folders.items():
        assert files == len(git(life.project.folder, "ls-files", path).splitlines()), path


def test_a_clone_pulls_the_same_data_and_model_and_has_nothing_to_run(other: Project) -> None:
    remote = other.folder.parent / f"{other.folder.name}.dvc-remote"
    shutil.rmtree(remote)
    assert "pushed" in other.run("dvc", "push")
    clone = other.folder.parent / "colleague"  # beside the remote, as the first project
    git(other.folder, "clone", "--quiet", str(other.folder), str(clone))
    (clone / ".venv").symlink_to(other.folder / ".venv")
    colleague = borrowed(clone)
    assert not (clone / "data/raw").exists()

    assert "fetched" in colleague.run("dvc", "pull")

    made = ("data", "models", "reports")
    assert len(hashes(clone, *made)) > 12
    assert hashes(clone, *made) == hashes(other.folder, *made)
    said = colleague.run("dvc", "repro")
    assert ran(said) == []
    assert "up to date" in said
    assert git(clone, "status", "--porcelain", "--untracked-files=no") == ""


def test_data_that_break_the_schema_stop_the_pipeline_by_name(other: Project) -> None:
    # MML 8, KIS 1: steps that went on, or stopped, for reasons nobody was told.
    before = now_locked(other)["models/model.joblib"], other.json("var/bundles/champion.json")
    path = "src/flight_delays/sources/flights/flights.sql"
    edit(other, path, "    departures.distance,", "    -departures.distance AS distance,")

    said = refusal(other, "dvc", "repro")

    assert "error: data/raw breaks the schema of conf/data/: 2013-01 'distance' goes down" in said
    assert "below its min 1" in said
    assert "failed to reproduce 'validate'" in said
    assert "Traceback" not in said
    assert ran(said)[-1] == "validate"
    after = now_locked(other)["models/model.joblib"], other.json("var/bundles/champion.json")
    assert after == before


def test_a_misspelt_setting_stops_at_once_by_name_and_is_soon_mended(other: Project) -> None:
    before = other.json("params.json"), now_locked(other)
    edit(other, "conf/gate/default.yaml", "min_gain: 0.0", "min_gian: 0.0")

    said = refusal(other, "dvc", "repro")

    assert "error: conf/" in said
    assert "min_gian" in said
    assert ran(said) == ["compose"]
    edit(other, "conf/gate/default.yaml", "min_gian: 0.0", "min_gain: 0.0")
    assert set(ran(other.run("dvc", "repro"))) <= {"compose"}
    assert (other.json("params.json"), now_locked(other)) == before
