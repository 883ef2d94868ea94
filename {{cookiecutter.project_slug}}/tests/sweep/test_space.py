import copy
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.pipeline.compose import compose
from {{ cookiecutter.__package }}.sweep import space

from .. import customers, project

MODEL = config.check(customers.PARAMS["model"], config.Model, "")
CONF = project.ROOT / "conf"
MODELS = sorted(path.stem for path in (CONF / "space").glob("*.yaml"))


def found(text: str) -> Any:
    return space.distributions({"x": space.parsed(f"x={text}", "here")}, "here")["x"]


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("interval(0, 2)", FloatDistribution(0, 2)),
        ("tag(log, interval(0.01, 1))", FloatDistribution(0.01, 1, log=True)),
        ("int(interval(8, 63))", IntDistribution(8, 63)),
        ("int(tag(log, interval(8, 63)))", IntDistribution(8, 63, log=True)),
        ("range(1, 5)", IntDistribution(1, 4)),  # Hydra's stop is exclusive
        ("range(2, 11, 3)", IntDistribution(2, 8, step=3)),
        ("range(0, 1, 0.25)", FloatDistribution(0, 0.75, step=0.25)),
        ("choice(a, 'b c', 3, 0.5, true)", CategoricalDistribution(["a", "b c", 3, 0.5, True])),
        ("a,b", CategoricalDistribution(["a", "b"])),
    ],
)
def test_hydras_grammar_is_read(text: str, means: object) -> None:
    assert found(text) == means


@pytest.mark.parametrize(
    "text",
    [
        "3",
        "interval(2)",
        "interval(2, 1)",
        "range(3, 3)",
        "choice([1], [2])",
        "tag(log, interval(0, 1))",
        "tag(logg, interval(1, 2))",
        "tag(log, range(1, 9))",
    ],
)
def test_what_is_no_sweep_is_refused_by_name(text: str) -> None:
    with pytest.raises(Refusal, match=r"x"):
        found(text)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "names no setting"),
        ("- a", "names no setting"),
        ("a: [", "cannot be read"),
        ("a: interval(", "is not Hydra's grammar"),
    ],
)
def test_a_broken_file_is_refused_by_name(lines: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(lines)
    with pytest.raises(Refusal, match=f"mine.yaml.*{said}"):
        space.read(path)


def test_without_a_file_it_is_said_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"mine.yaml is not there: write"):
        space.read(tmp_path / "mine.yaml")


@pytest.mark.parametrize("model", MODELS)
def test_every_space_is_of_a_model_that_knows_its_settings(model: str) -> None:
    chosen = config.composed(compose(CONF, [f"model={model}"])).model
    path = CONF / "space" / f"{model}.yaml"
    read = space.distributions(space.read(path), str(path))
    space.check(read, chosen, str(path))
    assert read


def test_a_setting_that_the_model_does_not_have_is_refused_with_what_is_near() -> None:
    with pytest.raises(Refusal, match=r"no setting 'model.estimator.learning_rte'.*learning_rate"):
        space.check(["model.estimator.learning_rte"], MODEL, "conf/space/")
    with pytest.raises(Refusal, match=r"no setting 'model.name'"):
        space.check(["model.name"], MODEL, "conf/space/")
    space.check(["model.encoding", "model.estimator.max_depth"], MODEL, "conf/space/")


def test_values_that_a_trial_has_stay(study: optuna.Study) -> None:
    kinds: space.Space = {
        "a": FloatDistribution(0, 1),
        "b": IntDistribution(1, 9),
        "c": CategoricalDistribution(["x", None]),
    }
    trial = study.ask()
    before = space.suggest(trial, kinds)
    again = space.suggest(optuna.trial.Trial(study, trial._trial_id), kinds)
    assert again == before
    assert set(before) == set(kinds)


@pytest.mark.parametrize(
    ("changed", "known"),
    [({}, True), ({"learning_rate": 0.5}, False), ({"learning_rate": "fast"}, False)],
)
def test_the_settings_of_today_are_tried_only_within_the_space(
    changed: dict[str, Any], known: bool
) -> None:
    kinds: space.Space = {
        "model.estimator.learning_rate": FloatDistribution(0.01, 0.2),
        "model.estimator.max_leaf_nodes": IntDistribution(8, 63),  # the estimator's own default
    }
    model = copy.deepcopy(MODEL)
    model.estimator |= changed
    today = {"model.estimator.learning_rate": 0.1, "model.estimator.max_leaf_nodes": 31}
    assert space.present(kinds, model) == (today if known else None)
