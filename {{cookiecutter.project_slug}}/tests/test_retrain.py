import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.__package }} import arrive, files, interrupted, paths, retrain
from {{ cookiecutter.__package }}.cli import Busy, Refusal
from {{ cookiecutter.__package }}.monitoring import drift
from {{ cookiecutter.__package }}.serving.champion import POINTER
from {{ cookiecutter.__package }}.serving.runs import RETRAINED, Run, last

from . import customers, project
from .monitoring import test_guard, traffic
from .registry import shadows

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
    monkeypatch.setattr(retrain, "stale", lambda: False)
    return asked


def failing(error: BaseException, run: Callable[..., None] = project.run) -> Callable[..., None]:
    """Stages that run as far as validate."""

    def until_asked_for_all(*stages: str) -> None:
        if not stages:
            raise error
        run(*stages)

    return until_asked_for_all


@pytest.fixture
def author(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody whom git can name."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@localhost")


def journal() -> dict[str, Any]:
    """The last line of the journal."""
    return files.read_lines(paths.JOURNAL)[-1]


def ended_well() -> Run | None:
    """What the service tells of the last run."""
    return last(paths.MONITORING, RETRAINED)


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
    assert ended_well() == Run(journal()["ended"], "nothing_to_do")


def test_a_new_partition_is_taken_in_and_a_better_model_promoted(
    released: Path, calls: Calls, settings: dict[str, Any], author: None
) -> None:
    settings |= {"model": BETTER, "retrain__commit": True, "retrain__push": True}
    (released / "work in progress").touch()
    retrain.retrain()
    line = journal()
    assert (line["outcome"], line["new_partitions"]) == ("promoted", ["2024-05"])
    assert line["reasons"] == ["new data: 2024-05"]
    assert (line["decision"]["event"], line["decision"]["version"]) == ("promoted", 2)
    assert arrive.listed()[-1] == "2024-05"
    assert project.bundle(2).exists()
    # only what retraining writes is committed, and before the release, whose version names it
    assert "not_committed" not in line
    command = ["git", "log", "-1", "--format=%s", "--name-only"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    assert said[0] == "Retrain: new data: 2024-05"
    assert set(filter(None, said[1:])) == {"conf/arrived.yaml", paths.PARAMS.name, "dvc.lock"}
    assert ("push", "--quiet") in calls


def test_a_model_that_is_no_better_is_refused(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings |= {"retrain__arrive": "none", "gate__min_gain": 1.0, "model": BETTER}
    assert retrain.retrain(force=True)["outcome"] == "refused"
    assert journal()["reasons"][-1] == "asked for by hand"
    assert journal()["decision"]["rule"] == "min_gain"


def test_live_traffic_promotes_a_challenger_before_the_next_model_is_judged(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings |= {"model": BETTER, "gate__shadow_rows": 200}
    assert retrain.retrain()["outcome"] == "shadowed"
    assert (journal()["decision"]["event"], journal()["decision"]["version"]) == ("shadowed", 2)
    shadows.ask("2024-06")
    retrain.retrain()  # which brings their labels
    assert (journal()["live"]["event"], journal()["live"]["previous"]) == ("promoted", 1)
    promoted = [line["event"] for line in files.read_lines(paths.HISTORY)].count("promoted")
    assert promoted == 2
    assert traffic.model().manifest.version == 2
    assert journal()["decision"]["event"] in ("shadowed", "refused")  # of the third


def test_live_traffic_promotes_also_when_there_is_nothing_new_to_learn_from(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings |= {"retrain__arrive": "none", "model": BETTER, "gate__shadow_rows": 200}
    assert retrain.retrain(force=True)["outcome"] == "shadowed"
    calls.clear()
    names = shadows.ask("2024-05")
    assert retrain.retrain()["outcome"] == "nothing_to_do"
    for name, label in zip(names, customers.frame("2024-05")["churned"].fillna(0), strict=True):
        traffic.told(name, int(label))
    assert retrain.retrain()["outcome"] == "promoted"
    assert journal()["decision"] == journal()["live"]
    assert ("repro",) not in calls


def test_a_proposal_is_recorded_and_releases_nothing(
    released: Path, calls: Calls, settings: dict[str, Any], author: None
) -> None:
    settings |= {"model": BETTER, "retrain__commit": True, "retrain__push": True}
    pointer = (paths.BUNDLES / POINTER).read_bytes()
    history = files.read_lines(paths.HISTORY)
    entry = retrain.retrain(propose=True)
    assert (entry["outcome"], entry["reasons"]) == ("proposed", ["new data: 2024-05"])
    assert calls.index(("repro",)) < calls.index(("push", "--quiet"))
    command = ["git", "log", "-1", "--format=%s"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == "Retrain: new data: 2024-05\n"
    assert (paths.BUNDLES / POINTER).read_bytes() == pointer
    assert files.read_lines(paths.HISTORY) == history


def test_a_proposal_without_news_has_nothing_to_propose(
    evaluated: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    # a runner has no history: the model there was never judged, and is not new for that
    settings["retrain__arrive"] = "none"
    assert retrain.retrain(propose=True)["outcome"] == "nothing_to_do"
    assert ("repro",) not in calls


def test_drift_without_anything_new_is_seen_and_changes_nothing(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    # the pipeline is deterministic: the same data, configuration and code give the same model
    settings["retrain__arrive"] = "none"
    traffic.answered("2024-05", lambda row: row | {"age": 99, "from": "web", "region": "1"})
    assert retrain.retrain()["outcome"] == "nothing_to_do"
    assert journal()["monitoring"]["status"] == "drift"
    assert journal()["reasons"] == [f"drift: {journal()['monitoring']['reason']}"]
    assert ("repro",) not in calls


def test_drift_and_new_data_are_both_named_and_a_step_that_fails_is_in_the_journal(
    released: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic.answered("2024-05", lambda row: row | {"age": 99, "from": "web", "region": "1"})
    monkeypatch.setattr(project, "run", failing(Refusal("`dvc repro` failed")))
    with pytest.raises(Refusal):
        retrain.retrain()
    new, seen = journal()["reasons"]
    assert new == "new data: 2024-05"
    assert seen.startswith("degraded: ")  # the labels have come with the new data
    assert "age" in seen
    assert (journal()["outcome"], journal()["error"]) == ("failed", "`dvc repro` failed")
    assert ended_well() is None


def test_what_an_interrupted_run_has_taken_in_is_still_a_reason(
    released: Path, calls: Calls, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings["model"] = BETTER

    with monkeypatch.context() as patch:
        patch.setattr(project, "run", failing(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            retrain.retrain()
    assert (journal()["outcome"], journal()["error"]) == ("failed", "KeyboardInterrupt")
    settings["retrain__arrive"] = "none"
    monkeypatch.setattr(retrain, "stale", lambda: True)
    assert retrain.retrain()["outcome"] == "promoted"
    assert journal()["reasons"] == ["data, configuration or code have changed since the last run"]


def test_a_model_that_was_not_judged_is_still_a_reason(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings |= {"retrain__arrive": "none", "model": BETTER}
    project.write_params(**settings)
    project.run()  # a run that was cut off before its release
    assert retrain.retrain()["outcome"] == "promoted"
    assert journal()["reasons"] == ["the evaluated model has not been judged yet"]


def test_without_the_trigger_new_data_wait_and_more_come_in_meanwhile(
    released: Path, calls: Calls, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings |= {"retrain__triggers": ["drift", "by_hand"], "model": BETTER}
    entry = retrain.retrain()
    assert (entry["outcome"], entry["reasons"]) == ("waiting", ["new data: 2024-05"])
    assert "waits for a trigger (drift, by_hand)" in journal()["why_not"]
    assert (paths.RAW / "2024-05.parquet").exists()  # with labels of what was predicted
    assert ended_well() == Run(journal()["ended"], "waiting")
    monkeypatch.setattr(retrain, "stale", lambda: True)
    entry = retrain.retrain()
    assert (entry["outcome"], entry["reasons"]) == ("waiting", ["new data: 2024-05, 2024-06"])
    assert ("repro",) not in calls
    entry = retrain.retrain(force=True)
    assert entry["outcome"] == "promoted"
    assert entry["reasons"] == ["new data: 2024-05, 2024-06", "asked for by hand"]
    assert project.bundle(2).exists()
    monkeypatch.setattr(retrain, "stale", lambda: False)
    assert retrain.retrain()["outcome"] == "nothing_to_do"


def test_what_waited_and_was_learnt_from_by_hand_is_no_news_any_more(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings["retrain__triggers"] = ["drift"]
    assert retrain.retrain()["outcome"] == "waiting"
    settings["retrain__arrive"] = "none"
    entry = retrain.retrain()  # nothing is stale: somebody has run `dvc repro`
    assert (entry["outcome"], entry["new_partitions"]) == ("nothing_to_do", [])


def test_force_is_refused_where_it_is_switched_off(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings["retrain__triggers"] = ["new_data"]
    with pytest.raises(Refusal, match="add by_hand to `triggers` in conf/retrain/"):
        retrain.retrain(force=True)
    assert calls == [("repro", "compose")]
    assert journal()["outcome"] == "failed"


def test_drift_that_is_an_alert_only_starts_nothing(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings |= {"retrain__triggers": ["drift"], "retrain__drift_without_labels": "alert"}
    settings["alerts"] = hook("drift", "waiting")
    traffic.answered("2024-06", lambda row: row | {"age": 99, "from": "web", "region": "1"})
    entry = retrain.retrain()  # it takes in May: nothing is known of June's answers
    assert entry["monitoring"]["status"] == "drift"
    assert (entry["outcome"], entry["reasons"]) == ("waiting", ["new data: 2024-05"])
    assert [event["event"] for event in files.read_lines(Path("told"))] == ["drift", "waiting"]


def hook(*events: str, command: str = "cat >>told") -> dict[str, Any]:
    return {"command": command, "events": list(events), "timeout_seconds": 10}


def test_an_unattended_run_is_held_back_and_the_next_one_picks_up_what_waits(
    released: Path, calls: Calls, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings |= {"retrain__arrive": "none", "model": BETTER, "alerts": hook("held_back")}
    assert retrain.retrain(force=True, unattended=True)["outcome"] == "promoted"
    settings["retrain__arrive"] = "next"
    calls.clear()
    held = retrain.retrain(unattended=True)
    assert (held["outcome"], held["reasons"]) == ("held_back", ["new data: 2024-05"])
    assert "cooldown_hours is 1" in journal()["why_not"]
    assert ("repro",) not in calls
    monkeypatch.setattr(retrain, "stale", lambda: True)
    settings["retrain__arrive"] = "none"
    assert retrain.retrain(unattended=True)["outcome"] == "held_back"
    (event,) = files.read_lines(Path("told"))  # once in a row
    assert event["reason"] == held["why_not"]
    settings["retrain__cooldown_hours"] = 0
    entry = retrain.retrain(unattended=True)
    assert entry["outcome"] in ("promoted", "refused")
    assert entry["reasons"] == ["new data: 2024-05"]


def test_limits_do_not_hold_for_who_types_the_command_nor_when_forced(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings |= {"retrain__arrive": "none", "retrain__triggers": ["schedule", "by_hand"]}
    settings["retrain__max_per_week"] = 1
    assert retrain.retrain()["outcome"] in ("promoted", "refused")
    assert journal()["reasons"] == ["due by the schedule"]
    assert retrain.retrain(unattended=True)["outcome"] == "held_back"
    assert retrain.retrain()["outcome"] in ("promoted", "refused")
    assert retrain.retrain(force=True, unattended=True)["outcome"] in ("promoted", "refused")


def test_a_run_that_fails_in_training_counts_for_the_limits(
    released: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(project, "run", failing(Refusal("`dvc repro` failed")))
        with pytest.raises(Refusal):
            retrain.retrain(unattended=True)
    monkeypatch.setattr(retrain, "stale", lambda: True)
    assert retrain.retrain(unattended=True)["outcome"] == "held_back"


def test_the_hook_is_told_how_a_run_has_ended(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings |= {"model": BETTER, "alerts": hook("promoted", "refused", "failed")}
    retrain.retrain()
    (event,) = files.read_lines(Path("told"))
    assert (event["event"], event["version"]) == ("promoted", 2)
    assert event["reason"] == journal()["decision"]["reason"]
    assert event["details"] == journal()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a bug"), Refusal("no disk")])
def test_a_run_that_fails_in_any_way_is_told_of_and_in_the_journal(
    error: BaseException,
    released: Path,
    calls: Calls,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings["alerts"] = hook("failed", command="cat >>told; exit 3")
    monkeypatch.setattr(project, "run", failing(error))
    with pytest.raises(type(error)):
        retrain.retrain()
    (event,) = files.read_lines(Path("told"))
    assert (event["event"], event["reason"]) == ("failed", journal()["error"])
    assert (journal()["outcome"], journal()["not_told"]) == ("failed", ["exit code 3"])


def test_a_failing_hook_does_not_fail_the_run(
    released: Path, calls: Calls, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    settings |= {"retrain__arrive": "none", "model": BETTER}
    settings["alerts"] = hook("drift", "promoted", command="no-such-command")
    traffic.answered("2024-05", lambda row: row | {"age": 99, "from": "web", "region": "1"})
    assert retrain.retrain(force=True)["outcome"] == "promoted"
    assert len(journal()["not_told"]) == 2
    said = [line for line in capsys.readouterr().out.splitlines() if "nobody was told" in line]
    assert [line.split(",")[0].split()[-1] for line in said] == ["drift", "promoted"]


def test_a_degraded_champion_is_left_first_and_the_run_does_not_let_it_back_in(
    replaced: Path, calls: Calls, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings |= {"retrain__arrive": "none", "model": BETTER}
    settings["alerts"] = hook("degraded", "rolled_back", "refused", "promoted")
    monkeypatch.setattr(drift, "draw", lambda *_: "")
    test_guard.answered(test_guard.turned)
    entry = retrain.retrain(force=True)
    assert entry["monitoring"]["status"] == "degraded"
    assert entry["rollback"]["version"] == 1
    assert entry["outcome"] == "refused"
    assert "version 2 was rolled back on" in entry["decision"]["reason"]
    assert test_guard.serves() == 1
    events = [event["event"] for event in files.read_lines(Path("told"))]
    assert events == ["degraded", "rolled_back", "refused"]


def test_a_model_that_was_not_judged_comes_before_the_next_partition(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings["model"] = BETTER
    project.write_params(**settings)
    project.run()
    before = arrive.listed()
    assert retrain.retrain()["outcome"] == "promoted"
    assert (journal()["new_partitions"], arrive.listed()) == ([], before)
    retrain.retrain()
    assert journal()["new_partitions"] == ["2024-05"]


def test_the_run_after_one_that_was_killed_says_so_and_goes_on(
    released: Path, calls: Calls, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings["model"] = BETTER
    with monkeypatch.context() as patch:
        # a process that is killed writes nothing after its note
        patch.setattr(retrain, "_write", lambda entry: None)
        patch.setattr(project, "run", failing(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            retrain.retrain()
    assert not paths.JOURNAL.exists()
    monkeypatch.setattr(retrain, "stale", lambda: True)
    retrain.retrain()
    first, last = files.read_lines(paths.JOURNAL)
    assert (first["outcome"], first["reasons"]) == ("interrupted", ["new data: 2024-05"])
    assert first["error"].endswith("at the step pipeline")
    assert last["outcome"] == "promoted"
    assert not (paths.VAR / interrupted.UNDER_WAY).exists()


def test_a_journal_that_cannot_be_written_is_said_to_whoever_listens(
    released: Path,
    calls: Calls,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings["retrain__arrive"] = "none"

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "append_line", full)
    retrain.retrain()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {paths.JOURNAL} could not be written")
    assert line.endswith("; outcome: nothing_to_do")


def test_data_that_broke_the_schema_are_fetched_again(
    released: Path, calls: Calls, settings: dict[str, Any]
) -> None:
    settings["retrain__arrive"] = "none"
    retrain.retrain()
    again = ("repro", "--force", "--single-item", "ingest")
    assert again not in calls
    recorded = files.read_json(Path("dvc.lock"))
    recorded["stages"]["validate"]["deps"][0]["md5"] = "of the data before"
    files.write_json(Path("dvc.lock"), recorded)
    retrain.retrain()
    assert calls.index(again) < len(calls) - 1 - calls[::-1].index(("repro", "validate"))


def test_an_experiment_is_never_released_unattended(released: Path, calls: Calls) -> None:
    files.write_text(Path("conf/overrides.yaml"), "- model=random_forest\n")
    with pytest.raises(Refusal, match="make exp"):
        retrain.retrain()
    assert calls == []
    assert journal()["outcome"] == "failed"


def test_a_second_run_at_the_same_time_is_told_to_come_back(
    released: Path, calls: Calls, elsewhere: Callable[[str], None]
) -> None:
    elsewhere("retrain")
    with pytest.raises(Busy, match="holds the lock retrain") as busy:
        retrain.retrain()
    assert busy.value.code == 75
    assert (calls, paths.JOURNAL.exists()) == ([], False)
