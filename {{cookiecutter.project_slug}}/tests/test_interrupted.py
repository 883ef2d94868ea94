import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.__package }} import dvc, files, interrupted, paths
from {{ cookiecutter.__package }}.registry import history

GONE = 2**22 + 1  # no process has this id


@pytest.fixture
def killed(released: Path) -> dict[str, Any]:
    """The note of a run that was killed, inside a released project."""
    entry = {"started": history.now(), "outcome": "failed", "reasons": ["new data: 2024-05"]}
    interrupted.note(entry, "pipeline")
    return entry


def journal() -> list[dict[str, Any]]:
    return files.read_lines(paths.JOURNAL)


def test_nothing_is_said_of_a_run_that_has_ended(released: Path) -> None:
    interrupted.note({"started": history.now()}, "data")
    interrupted.done()
    interrupted.put_right()
    assert journal() == []


def test_the_next_run_writes_the_entry_of_one_that_was_killed(killed: dict[str, Any]) -> None:
    interrupted.put_right()
    (entry,) = journal()
    assert (entry["started"], entry["reasons"]) == (killed["started"], killed["reasons"])
    assert entry["outcome"] == "interrupted"
    assert entry["error"] == "killed, or the machine went down, at the step pipeline"
    assert entry["ended"] >= entry["started"]
    interrupted.put_right()
    assert journal() == [entry]


def test_the_entry_tells_what_had_been_decided(killed: dict[str, Any]) -> None:
    history.record("refused", None, "f" * 64, "no better")
    interrupted.put_right()
    assert journal()[0]["decision"]["reason"] == "no better"


def test_an_entry_that_was_written_before_the_kill_is_not_written_twice(
    killed: dict[str, Any],
) -> None:
    files.append_line(paths.JOURNAL, killed | {"outcome": "promoted"})
    interrupted.put_right()
    assert [line["outcome"] for line in journal()] == ["promoted"]
    assert not (paths.VAR / interrupted.UNDER_WAY).exists()


def test_half_written_files_of_the_dead_go_and_those_of_the_living_stay(
    killed: dict[str, Any],
) -> None:
    names = ("conf/.arrived.yaml", ".params.json", "models/.model.joblib", "var/.journal.jsonl")
    for name in names:
        for process in (GONE, os.getpid()):
            Path(f"{name}.{process}").touch()
    interrupted.put_right()
    assert [name for name in names if Path(f"{name}.{GONE}").exists()] == []
    assert [name for name in names if not Path(f"{name}.{os.getpid()}").exists()] == []


def test_the_locks_of_a_git_that_was_killed_go(killed: dict[str, Any]) -> None:
    names = ("index.lock", "next-index-77.lock", "HEAD.lock", "refs/heads/x/y.lock")
    for name in names:
        files.write_text(Path(".git") / name, "")
    interrupted.put_right()
    assert [name for name in names if (Path(".git") / name).exists()] == []


def test_without_git_there_is_nothing_to_unlock(
    killed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    interrupted.put_right()
    assert len(journal()) == 1


@pytest.mark.parametrize("text", ["", "schema: '2.0'\nstages:\n  compo", "stages:\n  x:\n    a: 1"])
def test_half_a_dvc_lock_is_taken_from_the_last_commit(released: Path, text: str) -> None:
    whole = dvc.LOCK.read_bytes()
    dvc.mend(killed=False)
    assert dvc.LOCK.read_bytes() == whole
    dvc.LOCK.write_text(text)
    dvc.mend(killed=False)
    assert dvc.LOCK.read_bytes() == whole


def test_half_a_dvc_lock_that_git_does_not_have_is_removed(empty: Path) -> None:
    subprocess.run(["git", "init", "-q", "--template="], check=True)
    dvc.LOCK.write_text("")
    dvc.mend(killed=False)
    assert not dvc.LOCK.exists()


@pytest.mark.parametrize(
    ("text", "killed", "stays"),
    [
        ("", False, False),
        ('{"write": {"data', False, False),
        (json.dumps({"write": {"data/raw": {"pid": 1, "cmd": "dvc repro"}}}), False, True),
        (json.dumps({"write": {"data/raw": {"pid": 1, "cmd": "dvc repro"}}}), True, False),
    ],
)
def test_dvc_s_table_of_locks_goes_when_its_owner_is_dead(
    empty: Path, text: str, killed: bool, stays: bool
) -> None:
    files.write_text(dvc.BUSY, text)
    dvc.mend(killed)
    assert dvc.BUSY.exists() == stays
