from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from mlflow.entities import Run

from {{ cookiecutter.__package }} import paths
from {{ cookiecutter.__package }}.registry.store import Store
from {{ cookiecutter.__package }}.sweep import pictures, record

X = "model.estimator.x"


@pytest.fixture
def studied(evaluated: Path) -> Iterator[optuna.Study]:
    """A study with a trial of each kind, in a project whose MLflow is ready."""
    study = optuna.create_study(storage="sqlite:///trials.db", study_name="made")
    study.set_user_attr("identity", "a1b2")
    for number, end in enumerate(("COMPLETE", "COMPLETE", "COMPLETE", "PRUNED", "FAIL")):
        trial = study.ask()
        value = trial.suggest_float(X, 0, 1)
        trial.set_user_attr("scores", [[value], [value + 1]])
        trial.report(value + 0.5, step=1)
        if end == "FAIL":
            trial.set_user_attr("error", "ValueError: odd")
            trial.set_user_attr("traceback", "x" * 9000 + "ValueError: odd")
        state = optuna.trial.TrialState[end]
        study.tell(trial, value + 0.5 if end == "COMPLETE" else None, state)
        assert trial.number == number
    yield study


def made(study: optuna.Study) -> record.Record:
    return record.Record(study, "customers", ["log_loss"], {"model": "hgb"})


def runs() -> tuple[Run, list[Run]]:
    """The study's run and those of its trials, by number."""
    store = Store("customers-sweeps")
    found = store.client.search_runs([store.experiment])
    (parent,) = [run for run in found if record.PARENT not in run.data.tags]
    children = [run for run in found if run.data.tags.get(record.PARENT) == parent.info.run_id]
    assert len(children) == len(found) - 1
    return parent, sorted(children, key=lambda run: int(run.data.tags["trial"]))


def test_one_run_a_study_and_one_a_trial(studied: optuna.Study) -> None:
    kept = made(studied)
    kept.follow()
    kept.end(finished=True)
    assert kept.trouble == ""
    parent, children = runs()
    assert (parent.data.tags["study"], parent.data.tags["identity"]) == ("made", "a1b2")
    assert parent.info.status == "FINISHED"
    best = studied.best_trial
    assert parent.data.tags["best_trial"] == str(best.number)
    assert float(parent.data.tags[f"best.{X}"]) == best.params[X]
    assert parent.data.metrics["log_loss"] == best.value
    assert parent.data.metrics[f"importance.{X}"] == 1
    pictures = Store("customers-sweeps").client.list_artifacts(parent.info.run_id)
    assert [file.path for file in pictures] == ["history.png", "importance.png"]
    states = ["FINISHED", "FINISHED", "FINISHED", "KILLED", "FAILED"]
    assert [run.info.status for run in children] == states
    for run, trial in zip(children, studied.trials, strict=True):
        assert float(run.data.params[X]) == trial.params[X]
        assert run.data.metrics["fold.log_loss"] == trial.params[X] + 1
        assert run.data.metrics.get("log_loss") == (
            trial.value if trial.state.name == "COMPLETE" else None
        )
        assert run.data.metrics["seconds"] >= 0
        assert run.data.tags["state"] == trial.state.name
    assert children[4].data.tags["error"] == "ValueError: odd"
    assert children[4].data.tags["traceback"].endswith("xValueError: odd")
    assert not list((paths.VAR / "artifacts").rglob("*model*"))


def test_a_resumed_study_goes_on_with_its_run_and_logs_nothing_twice(
    studied: optuna.Study,
) -> None:
    kept = made(studied)
    kept.follow()
    kept.end(finished=False)
    parent, _ = runs()
    assert parent.info.status == "KILLED"
    trial = studied.ask()
    studied.tell(trial, trial.suggest_float(X, 0, 1))
    made(studied).end(finished=True)
    again, children = runs()
    assert again.info.run_id == parent.info.run_id
    assert again.info.status == "FINISHED"
    assert [run.data.tags["trial"] for run in children] == list("012345")


def test_half_a_trial_of_a_killed_driver_is_logged_anew(studied: optuna.Study) -> None:
    made(studied).follow()
    _, children = runs()
    Store("customers-sweeps").client.update_run(children[2].info.run_id, status="RUNNING")
    made(studied).end(finished=True)
    _, again = runs()
    assert [run.data.tags["trial"] for run in again] == list("01234")
    assert again[2].info.run_id != children[2].info.run_id


def test_an_mlflow_that_fails_stops_nothing_and_is_caught_up_with(
    studied: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = made(studied)
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        kept.follow()
        assert "http://127.0.0.1:9 fails" in kept.trouble
        assert "\n" not in kept.trouble
    kept.follow()  # who waits for a server that is gone gives out no work
    assert kept.trouble
    kept.end(finished=True)
    assert kept.trouble == ""
    assert len(runs()[1]) == 5


def test_another_tracking_server_gets_all_of_the_study(
    studied: optuna.Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made(studied).end(finished=True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    made(studied).end(finished=True)
    assert len(runs()[1]) == 5


def test_whatever_mlflow_raises_is_trouble_and_no_more(
    studied: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise PermissionError("var is not yours")

    monkeypatch.setattr(pictures, "draw", full)
    kept = made(studied)
    kept.follow()
    kept.end(finished=True)
    assert kept.trouble == "var is not yours"
    monkeypatch.undo()
    made(studied).end(finished=True)
    assert runs()[0].info.status == "FINISHED"
