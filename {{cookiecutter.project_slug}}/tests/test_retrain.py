import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.__package }} import arrive, files, paths, retrain
from {{ cookiecutter.__package }}.cli import Busy, Refusal

from . import customers, project
from .monitoring import traffic

Calls = list[tuple[str, ...]]
BETTER = customers.MODELS["hist_gradient_boosting"]


@pytest.fixture
def settings() -> dict[str, Any]:
    """Changes of the parameters that the next `dvc repro` composes."""
    return {}


@pytest.fixture
def calls(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What DVC is asked for; it runs the stages in this process."""
    asked: Calls = []

    def dvc(*arguments: str) -> None:
        asked.append(arguments)
        if arguments[0] == "repro":
            project.write_params(partitions=arrive.listed(), **settings)
        if arguments == ("repro",):
            project.run()
        elif arguments == ("repro", "validate"):
            project.run("ingest", "validate")

    monkeypatch.setattr(retrain, "dvc", dvc)
    return asked


def failing_when_asked_for_all(*stages: str, run: Callable[..., None] = project.run) -> None:
    """Data come in, and then the machine stops."""
    if not stages:
        raise KeyboardInterrupt
    run(*stages)


def journal() -> dict[str, Any]:
    """The last line of the journal."""
    return files.read_lines(paths.JOURNAL)[-1]


def test_without_news_nothing_is_done(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings["retrain__arrive"] = "none"
    entry = retrain.retrain()
    assert (entry["outcome"], entry["reasons"]) == ("nothing_to_do", [])
    assert ("repro",) not in calls
    assert journal()["outcome"] == "nothing_to_do"
    assert journal()["monitoring"]["status"] == "insufficient_data"
    assert journal()["started"] <= journal()["ended"]


def test_a_new_partition_is_taken_in_and_a_better_model_promoted(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings["model"] = BETTER
    retrain.retrain()
    line = journal()
    assert (line["outcome"], line["new_partitions"]) == ("promoted", ["2024-05"])
    assert line["reasons"] == ["new data: 2024-05"]
    assert (line["decision"]["event"], line["decision"]["version"]) == ("promoted", 2)
    assert arrive.listed()[-1] == "2024-05"
    assert project.bundle(2).exists()


def test_a_model_that_is_no_better_is_refused(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings |= {"retrain__arrive": "none", "gate__min_gain": 1.0, "model": BETTER}
    assert retrain.retrain(force=True)["outcome"] == "refused"
    assert journal()["reasons"] == ["asked for by hand"]
    assert journal()["decision"]["rule"] == "min_gain"


def test_drift_alone_is_a_reason(released: Path, calls: Calls, settings: dict[str, Any]) -> None:
    settings |= {"retrain__arrive": "none", "model": BETTER}
    traffic.answered("2024-05", lambda row: row | {"age": 99, "from": "web", "region": "1"})
    retrain.retrain()
    (reason,) = journal()["reasons"]
    assert reason.startswith("drift: ")
    assert journal()["outcome"] == "promoted"


def test_a_step_that_fails_is_in_the_journal_and_the_next_run_goes_on(
    released: Path, calls: Calls, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: str) -> None:
        raise Refusal("`dvc repro` failed; its output above says where")

    settings["model"] = BETTER
    with monkeypatch.context() as patch:
        patch.setattr(retrain, "dvc", failing)
        with pytest.raises(Refusal):
            retrain.retrain()
    assert journal()["outcome"] == "failed"
    assert journal()["error"] == "`dvc repro` failed; its output above says where"
    assert retrain.retrain()["outcome"] == "promoted"


def test_what_an_interrupted_run_has_taken_in_is_still_a_reason(
    released: Path, calls: Calls, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings["model"] = BETTER

    with monkeypatch.context() as patch:
        patch.setattr(project, "run", failing_when_asked_for_all)
        with pytest.raises(KeyboardInterrupt):
            retrain.retrain()
    assert (journal()["outcome"], journal()["error"]) == ("failed", "KeyboardInterrupt")
    settings["retrain__arrive"] = "none"
    assert retrain.retrain()["outcome"] == "promoted"


def test_a_second_run_at_the_same_time_is_told_to_come_back(
    released: Path, calls: Calls, elsewhere: Callable[[str], None]
) -> None:
    elsewhere("retrain")
    with pytest.raises(Busy, match="another retrain is running") as busy:
        retrain.retrain()
    assert busy.value.code == 75
    assert (calls, paths.JOURNAL.exists()) == ([], False)


def test_only_what_retraining_writes_is_committed_before_the_release(
    released: Path, calls: Calls, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@localhost")
    settings |= {"model": BETTER, "retrain__commit": True, "retrain__push": True}
    (released / "work in progress").touch()
    entry = retrain.retrain()
    assert "not_committed" not in entry
    command = ["git", "log", "-1", "--format=%s", "--name-only"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    assert said[0] == "Retrain: new data: 2024-05"
    assert set(filter(None, said[1:])) == set(retrain.RECORDED)
    assert ("push", "--quiet") in calls
