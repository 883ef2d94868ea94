from pathlib import Path
from typing import Any

import optuna
import pytest

from {{ cookiecutter.__package }} import files, paths
from {{ cookiecutter.__package }}.pipeline import compose
from {{ cookiecutter.__package }}.sweep import result, space

from .. import project
from .test_study import SCORER

MODEL = "hist_gradient_boosting"
RATE = "model.estimator.learning_rate"


def tried(*values: dict[str, Any], enqueued: bool = False) -> optuna.Study:
    study = optuna.create_study(study_name=f"{MODEL}-0123abcd")
    for number, params in enumerate(values):
        distributions: space.Space = {
            name: optuna.distributions.CategoricalDistribution([value])
            for name, value in params.items()
        }
        attributes = {"fixed_params": params} if enqueued else {}
        trial = optuna.trial.create_trial(
            params=params, distributions=distributions, value=-number, system_attrs=attributes
        )
        study.add_trial(trial)
    return study


def written(study: optuna.Study, **fixed: Any) -> Path:
    named = {f"model.estimator.{name}": value for name, value in fixed.items()}
    return result.write(study, study.best_trial, SCORER, "d41d8cd9", named)


@pytest.mark.parametrize("value", [0.0625, 1e-05, 1e20, 0.1 + 0.2])
def test_what_was_found_is_composed_into_the_model_and_nothing_else(
    value: float, conf: Path
) -> None:
    before = compose.compose(conf)
    path = written(tried({RATE: 0.5}, {RATE: value, "model.encoding": "ordinal"}), max_depth=None)
    assert path == conf.relative_to(Path.cwd()) / f"tuned/{MODEL}.yaml"
    after = compose.compose(conf)
    assert after["model"]["estimator"].pop("learning_rate") == value
    assert after["model"]["estimator"].pop("max_depth") is None
    assert after["model"].pop("encoding") == "ordinal"
    assert after["model"].pop("study") == f"{MODEL}-0123abcd, trial 1"
    del before["model"]["estimator"]["learning_rate"], before["model"]["encoding"]
    assert after == before


def test_another_model_does_not_take_it(conf: Path) -> None:
    before = compose.compose(conf, ["model=random_forest"])
    written(tried({RATE: 0.5}))
    assert compose.compose(conf, ["model=random_forest"]) == before


def test_the_file_says_where_it_comes_from_and_is_removed_to_go_back(conf: Path) -> None:
    before = compose.compose(conf)
    path = written(tried({RATE: 0.5}))
    text = path.read_text()
    assert "d41d8cd9" in text
    assert "log_loss" in text
    assert max(map(len, text.splitlines())) <= 120
    path.unlink()
    assert compose.compose(conf) == before


def test_only_train_and_what_is_below_it_read_what_a_sweep_changes(conf: Path) -> None:
    def read() -> dict[str, list[Any]]:
        compose.main()
        params = files.read_json(paths.PARAMS)
        schema = paths.SCHEMA.read_bytes()
        return {
            name: [schema, *(project.at(params, key) for key in project.read_by(stage))]
            for name, stage in project.declared().items()
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "CONF", conf)
        before = read()
        written(tried({RATE: 0.5}))
        after = read()
    assert [name for name in before if before[name] != after[name]] == ["train"]


def test_the_summary_has_the_settings_so_far_beside_what_was_found() -> None:
    study, drawn = tried({RATE: 0.25}, {RATE: 0.123456789}, enqueued=True), tried({RATE: 0.25})
    said = result.summary(study, study.best_trial, ["log_loss"])
    assert said.splitlines()[0] == "best: trial 1"
    assert "-1.00000   0.00000 with the settings it began with" in said
    assert "learning_rate      0.12346" in said
    assert "began" not in result.summary(drawn, drawn.best_trial, ["log_loss"])
