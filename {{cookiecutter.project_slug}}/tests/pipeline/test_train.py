from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.exceptions import NotFittedError

from {{ cookiecutter.__package }} import config, files, paths, table
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.pipeline import train

from .. import customers, project


@pytest.mark.parametrize("name", customers.MODELS)
def test_the_same_input_gives_the_same_bytes(name: str, evaluated: Path) -> None:
    project.write_params(model=customers.MODELS[name])
    train.main()
    first = files.digest(paths.MODEL, "md5")
    train.main()
    assert files.digest(paths.MODEL, "md5") == first


@pytest.mark.parametrize("name", customers.MODELS)
def test_the_model_has_learnt_something(name: str, evaluated: Path) -> None:
    project.write_params(model=customers.MODELS[name])
    project.run("train", "evaluate")
    found = files.read_json(paths.METRICS)
    assert found["model"]["log_loss"] < 0.9 * found["baseline"]["log_loss"]


def test_only_the_training_side_is_learnt_from(evaluated: Path) -> None:
    before = files.digest(paths.MODEL)
    paths.HOLDOUT.unlink()
    train.main()
    assert files.digest(paths.MODEL) == before


def test_neither_key_nor_time_nor_target_is_an_input(evaluated: Path) -> None:
    pipeline = joblib.load(paths.MODEL)
    columns = customers.PARAMS["data"]["columns"]
    assert set(pipeline.feature_names_in_) == set(columns)


def test_categorical_columns_come_first() -> None:
    model = config.check(customers.MODELS["random_forest"], config.Model, "")
    encoders = train.build(model, {"n": "numeric", "c": "categorical"})["columns"].transformers
    assert [names for _, _, names in encoders] == [["c"], ["n"]]


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        ({"_target_": "sklearn.nowhere.Tree"}, "sklearn.nowhere"),
        ({"_target_": "sklearn.tree.NoTree"}, "NoTree"),
        ({"_target_": "sklearn.tree.DecisionTreeClassifier", "dept": 3}, "dept"),
        ({}, "conf/model/: write `_target_:`"),
    ],
)
def test_an_estimator_that_cannot_be_made_is_refused_by_name(
    estimator: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refusal, match=said):
        train.build(config.Model("x", "ordinal", estimator), {"n": "numeric"})


def test_building_does_not_fit(evaluated: Path) -> None:
    kinds = table.inputs()
    rows = table.frame(paths.TRAIN, list(kinds))
    with pytest.raises(NotFittedError):
        train.build(config.read("model", config.Model), kinds).predict_proba(rows)
