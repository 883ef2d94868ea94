"""The service must answer as the estimator does, on rows chosen to find a difference too."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package }} import config, tasks
from {{ cookiecutter.__package }}.pipeline import train
from {{ cookiecutter.__package }}.registry import deploy, portable
from {{ cookiecutter.__package }}.registry.forest import NotPortable
from {{ cookiecutter.__package }}.serving.predictor import FORMS
from {{ cookiecutter.__package }}.serving.schema import Schema

from .. import customers

DATA = config.check(customers.PARAMS["data"], config.Data, "")
KINDS = DATA.inputs
SURELY = 1e-12


def of_task(task: config.Task, model: str, **arguments: Any) -> dict[str, Any]:
    """A family's model for a task: its regressor, or its classifier."""
    kind = "Regressor" if task == "regression" else "Classifier"
    names = {
        "hist_gradient_boosting": f"sklearn.ensemble.HistGradientBoosting{kind}",
        "random_forest": f"sklearn.ensemble.RandomForest{kind}",
        "lightgbm": f"lightgbm.LGBM{kind}",
        "xgboost": f"xgboost.XGB{kind}",
        "linear": "sklearn.linear_model.Ridge"
        if task == "regression"
        else "sklearn.linear_model.LogisticRegression",
    }
    encodings = {"hist_gradient_boosting": "native_categories", "lightgbm": "native_categories"}
    return {
        "name": model,
        "encoding": encodings.get(model, "one_hot" if model == "linear" else "ordinal"),
        "estimator": {"_target_": names[model], **arguments},
    }


SETTINGS: dict[str, dict[str, Any]] = {
    "hist_gradient_boosting": {"max_iter": 15, "early_stopping": False, "random_state": 7},
    "random_forest": {"n_estimators": 10, "max_leaf_nodes": 64, "random_state": 7},
    "lightgbm": {"n_estimators": 15, "verbosity": -1, "num_threads": 1, "random_state": 7},
    "xgboost": {"n_estimators": 15, "n_jobs": 1, "random_state": 7},
    "linear": {},
}
TASKS: tuple[config.Task, ...] = ("binary", "multiclass", "regression")
FAMILIES = [(model, task) for model in SETTINGS for task in TASKS]


def labels(rows: pd.DataFrame, task: config.Task) -> Any:
    """What a task tells of the made-up customers: churn, churn by origin, or a number."""
    churned = rows[DATA.roles.target].to_numpy()
    if task == "binary":
        return churned
    if task == "multiclass":
        return churned * (1 + (rows["from"] == "web").to_numpy())
    return rows["visits.monthly"].to_numpy() * 1.5 + churned * rows["age"].to_numpy()


def answered(exported: portable.Portable, columns: list[Any], expected: Any) -> float:
    """The largest difference of the predictor's answers, to all rows together and to each."""
    predictor = FORMS[exported.form](exported.arrays, exported.meta)
    together = predictor.predict(columns)
    assert together.dtype == expected.dtype
    assert together.shape == expected.shape
    listed = (column.tolist() for column in columns)
    rows = zip(*([None if x != x else x for x in column] for column in listed), strict=True)
    each = np.array([predictor.one(row) for row in rows])
    assert each.dtype == np.float64
    assert each.shape == expected.shape
    return float(max(np.abs(together - expected).max(), np.abs(each - expected).max()))


@dataclass
class Twins:
    """A fitted pipeline and its portable form."""

    pipeline: Any
    exported: portable.Portable
    rows: pd.DataFrame
    task: config.Task = "binary"

    @property
    def surely(self) -> float:
        """What counts as the same answer."""
        return float(self.exported.meta.get("tolerance", SURELY))

    def differ(self, rows: pd.DataFrame) -> float:
        """The largest difference between scikit-learn's answers and those of either way."""
        schema = Schema(deploy.columns(self.exported, DATA), DATA.roles.key, DATA.roles.time)
        names = [name for name in DATA.columns if name in self.exported.columns]
        values = {
            n: [None if pd.isna(v) and n in customers.CATEGORICAL else v for v in rows[n]]
            for n in names
        }
        expected = tasks.KINDS[self.task].predict(self.pipeline, rows[names])
        return answered(self.exported, schema.encode_columns(values), expected)

    def near(self, column: str) -> list[float]:
        """Every threshold of a column and the numbers next to it, in both precisions."""
        number = self.exported.columns.index(column)
        found = self.exported.arrays.get(f"thresholds_{number}", np.array([]))
        found = found[np.isfinite(found)]  # a split on missing alone is at infinity
        down, up = np.nextafter(found, -np.inf), np.nextafter(found, np.inf)
        single = found.astype(np.float32)
        low = np.nextafter(single, np.float32(-np.inf)).astype(float)
        high = np.nextafter(single, np.float32(np.inf)).astype(float)
        every = (found, down, up, single.astype(float), low, high, (single + high) / 2)
        return list(np.concatenate(every))


def rows_of(folder: Path, side: str) -> pd.DataFrame:
    return customers.read(folder / f"data/split/{side}.parquet")


def fitted(rows: pd.DataFrame, **model: Any) -> Any:
    pipeline = train.build(config.check(model, config.Model, ""), KINDS)
    return pipeline.fit(rows[list(DATA.columns)], rows[DATA.roles.target])


@pytest.fixture(scope="module", params=FAMILIES, ids="-".join)
def twins(request: pytest.FixtureRequest, built_evaluated: Path) -> Twins:
    """Each family in both forms, for each task."""
    family, task = request.param
    rows = rows_of(built_evaluated, "train")
    model = config.check(of_task(task, family, **SETTINGS[family]), config.Model, "")
    pipeline = train.build(model, KINDS)
    told = train.told_when_fitted(pipeline, model)
    pipeline.fit(rows[list(DATA.columns)], labels(rows, task), **told)
    exported = portable.export(pipeline)
    return Twins(pipeline, exported, rows_of(built_evaluated, "holdout"), task)


def varied(rows: pd.DataFrame, column: str, values: list[Any]) -> pd.DataFrame:
    """Some real rows, each with every value in the column."""
    some = pd.concat([rows.head(5)] * len(values))
    every = [value for value in values for _ in range(5)]
    # As DuckDB gives it: to scikit-learn None and NaN are two kinds of missing.
    return some.assign(**{column: pd.Series(every, some.index, rows[column].dtype)})


def test_both_agree_on_every_row(twins: Twins, built_evaluated: Path) -> None:
    assert twins.differ(twins.rows) <= twins.surely
    assert twins.differ(rows_of(built_evaluated, "train")) <= twins.surely


@pytest.mark.parametrize("column", customers.NUMERIC)
def test_both_agree_beside_every_threshold(twins: Twins, column: str) -> None:
    values = [0.0, -0.0, -1e30, 1e-300, 1e30, *twins.near(column)]
    assert twins.differ(varied(twins.rows, column, values)) <= twins.surely


@pytest.mark.parametrize("column", customers.NUMERIC)
def test_both_agree_without_a_number(twins: Twins, column: str) -> None:
    assert twins.differ(varied(twins.rows, column, [np.nan])) <= twins.surely


@pytest.mark.parametrize("column", customers.CATEGORICAL)
def test_both_agree_on_unseen_and_missing_categories(twins: Twins, column: str) -> None:
    rows = varied(twins.rows, column, ["never seen", "", None])
    assert twins.differ(rows) <= twins.surely


def test_both_agree_when_nothing_is_known(twins: Twins) -> None:
    rows = twins.rows.head(5)
    for name in DATA.columns:
        rows = varied(rows, name, [None])
    assert rows[list(DATA.columns)].isna().all(axis=None)
    assert twins.differ(rows) <= twins.surely


@pytest.mark.parametrize("column", customers.NUMERIC)
def test_both_agree_on_infinity(twins: Twins, column: str) -> None:
    if not type(twins.pipeline["estimator"]).__name__.startswith(("HistGradient", "LGBM")):
        pytest.skip("other estimators refuse infinity")
    assert twins.differ(varied(twins.rows, column, [np.inf, -np.inf])) <= twins.surely


def test_only_xgboost_may_differ_by_more_than_rounding(twins: Twins) -> None:
    single = type(twins.pipeline["estimator"]).__name__.startswith("XGB")
    assert twins.surely == (2e-7 if single else SURELY)


def test_answers_to_many_rows_are_those_to_each(twins: Twins) -> None:
    many = pd.concat([twins.rows] * 3)  # over the predictor's block
    assert len(many) > 800
    assert twins.differ(many) <= twins.surely


def test_the_rows_beside_thresholds_are_told_apart(twins: Twins) -> None:
    if twins.exported.form != "trees":
        pytest.skip("a linear model has no thresholds")
    values = twins.near("age")
    rows = varied(twins.rows, "age", values)[list(DATA.columns)]
    answers = tasks.KINDS[twins.task].predict(twins.pipeline, rows).reshape(len(values), 5, -1)
    assert len(np.unique(answers[:, 0, -1])) > 3


FOREST = {
    "name": "forest",
    "encoding": "ordinal",
    "estimator": {
        "_target_": "sklearn.ensemble.RandomForestClassifier",
        "n_estimators": 3,
        "random_state": 7,
    },
}


def forest(rows: pd.DataFrame, leaves: int) -> Any:
    estimator = FOREST["estimator"] | {"max_leaf_nodes": leaves}  # type: ignore[operator]
    return fitted(rows, **FOREST | {"estimator": estimator})


def test_a_tree_may_have_64_leaves_but_not_65(built_evaluated: Path) -> None:
    rows = rows_of(built_evaluated, "train")
    full = forest(rows, 64)
    assert max(tree.get_n_leaves() for tree in full["estimator"].estimators_) == 64
    assert Twins(full, portable.export(full), rows).differ(rows) <= SURELY
    with pytest.raises(NotPortable, match="a tree of over 64 leaves; see max_leaf_nodes"):
        portable.export(forest(rows, 65))


def test_a_single_leaf_is_a_tree_too(built_evaluated: Path) -> None:
    rows = rows_of(built_evaluated, "train")
    model = customers.MODELS["hist_gradient_boosting"]
    stump = fitted(rows, **model | {"estimator": model["estimator"] | {"min_samples_leaf": 800}})
    assert Twins(stump, portable.export(stump), rows).differ(rows) <= SURELY


def test_an_estimator_without_a_portable_form_is_named(built_evaluated: Path) -> None:
    estimator = {"_target_": "sklearn.ensemble.ExtraTreesClassifier", "n_estimators": 2}
    pipeline = fitted(
        rows_of(built_evaluated, "train"), name="x", encoding="ordinal", estimator=estimator
    )
    with pytest.raises(NotPortable, match=r"^ExtraTreesClassifier$"):
        portable.export(pipeline)


@pytest.mark.parametrize("name", ["random_forest", "hist_gradient_boosting"])
def test_trees_on_one_hot_columns_have_no_portable_form(name: str, built_evaluated: Path) -> None:
    rows = rows_of(built_evaluated, "train")
    pipeline = fitted(rows, **customers.MODELS[name] | {"encoding": "one_hot"})
    with pytest.raises(NotPortable, match="Classifier with encoding one_hot"):
        portable.export(pipeline)


def test_boosted_trees_on_ordinal_codes_are_exact(built_evaluated: Path) -> None:
    rows = rows_of(built_evaluated, "train")
    model = customers.MODELS["hist_gradient_boosting"] | {"encoding": "ordinal"}
    pipeline = fitted(rows, **model)
    assert Twins(pipeline, portable.export(pipeline), rows).differ(rows) <= SURELY


@pytest.mark.parametrize("kept", [customers.NUMERIC, customers.CATEGORICAL])
@pytest.mark.parametrize("name", customers.MODELS)
def test_a_table_of_one_kind_of_column_has_a_portable_form(
    name: str, kept: list[str], built_evaluated: Path
) -> None:
    rows = rows_of(built_evaluated, "train")
    columns = {name: kind for name, kind in KINDS.items() if name in kept}
    model = config.check(customers.MODELS[name], config.Model, "")
    pipeline = train.build(model, columns).fit(rows[list(columns)], rows[DATA.roles.target])
    assert Twins(pipeline, portable.export(pipeline), rows).differ(rows) <= SURELY


def test_the_vocabulary_is_what_training_has_seen(twins: Twins) -> None:
    assert twins.exported.vocabularies["from"] == ["friend", "shop", "web"]
    assert twins.exported.vocabularies["friend's plan"] == ["basic", "plus"]
    assert set(twins.exported.columns) == set(DATA.columns)
