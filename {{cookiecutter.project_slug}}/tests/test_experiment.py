import shutil
from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import experiment
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.pipeline import compose

from . import project


@pytest.fixture
def conf(empty: Path) -> Path:
    """The project's own conf/, without overrides."""
    shutil.copytree(project.ROOT / "conf", empty / "conf", dirs_exist_ok=True)
    experiment.NOTE.unlink(missing_ok=True)
    return empty / "conf"


def test_overrides_are_noted_as_compose_reads_them(conf: Path) -> None:
    overrides = ["gate.min_gain=0.5", "model=random_forest", "name='a: \"b\"'"]
    experiment.note(overrides)
    assert compose.noted(conf) == overrides


def test_no_overrides_remove_the_note(conf: Path) -> None:
    experiment.note(["gate.min_gain=0.5"])
    experiment.note([])
    assert compose.noted(conf) == []
    assert not experiment.NOTE.exists()


def test_overrides_that_do_not_compose_leave_the_old_note(conf: Path) -> None:
    experiment.note(["gate.min_gain=0.5"])
    with pytest.raises(Refusal, match="min_gian"):
        experiment.note(["gate.min_gian=0.5"])
    assert compose.noted(conf) == ["gate.min_gain=0.5"]


def test_an_experiment_that_cannot_be_fitted_leaves_the_old_note(
    conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: str) -> None:
        raise Refusal("`dvc repro` failed")

    experiment.note(["gate.min_gain=0.5"])
    monkeypatch.setattr(experiment, "dvc", fails)
    with pytest.raises(Refusal):
        experiment.attempt(["model.estimator.learning_rate=fast"])
    assert compose.noted(conf) == ["gate.min_gain=0.5"]
