import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.pipeline.compose import CONF
from {{ cookiecutter.__package }}.sweep.space import Space

from .. import project

SPACE: Space = {"model.estimator.x": FloatDistribution(0, 1)}
SETTINGS = config.Sweep(
    n_trials=12, sampler={"_target_": "optuna.samplers.RandomSampler", "seed": 1}
)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[str]:
    yield f"sqlite:///{tmp_path / 'trials.db'}"


@pytest.fixture
def study(storage: str) -> optuna.Study:
    return begun(storage, seed=1)


def begun(storage: str, seed: int) -> optuna.Study:
    """The study as a driver finds it, which prunes nothing."""
    return optuna.create_study(
        storage=storage,
        study_name="made",
        sampler=optuna.samplers.RandomSampler(seed=seed),
        pruner=optuna.pruners.NopPruner(),
        load_if_exists=True,
    )


@pytest.fixture
def conf(empty: Path) -> Path:
    """The project's own conf/ in a new project with boosted trees, and nothing left by sweeps."""
    shutil.copytree(project.ROOT / CONF, empty / CONF, dirs_exist_ok=True)
    (empty / CONF / "overrides.yaml").unlink(missing_ok=True)
    shutil.rmtree(empty / CONF / "tuned", ignore_errors=True)
    config_yaml = empty / CONF / "config.yaml"
    chosen = re.sub(r"(?m)^( *- model: )\S+", r"\1hist_gradient_boosting", config_yaml.read_text())
    config_yaml.write_text(chosen)
    return empty / CONF
