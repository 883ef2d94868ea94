"""The service must answer as scikit-learn does, on rows chosen to find a difference too."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.pipeline import train
from {{ cookiecutter.__package }}.registry import deploy, portable
from {{ cookiecutter.__package }}.serving.predictor import FORMS
from {{ cookiecutter.__package }}.serving.schema import Schema

from .. import customers

DATA = config.check(customers.PARAMS["data"], config.Data, "")
KINDS = {name: column.type for name, column in DATA.columns.items()}
SURELY = 1e-12


def answered(exported: portable.Portable, columns: list[Any], expected: Any) -> float:
    """The largest difference of the predictor's answers, to all rows together and to each."""
    predictor = FORMS[exported.form](exported.arrays, exported.meta)
    together = predictor.predict(columns)
    assert together.dtype == expected.dtype == np.float64
    listed = (column.tolist() for column in columns)
    rows = zip(*([None if x != x else x for x in column] for column in listed), strict=True)
    each = np.array([predictor.one(row) for row in rows])
    assert each.dtype == np.float64
    return float(max(np.abs(together - expected).max(), np.abs(each - expected).max()))


@dataclass
class Twins:
    """A fitted pipeline and its portable form."""

    pipeline: Any
    exported: portable.Portable
    rows: pd.DataFrame

    def differ(self, rows: pd.DataFrame) -> float:
        """The largest difference between scikit-learn's answers and those of either way."""
        schema = Schema(deploy.columns(self.exported, DATA), DATA.roles.key, DATA.roles.time)
        names = [name for name in DATA.columns if name in self.exported.columns]
        values = {
            n: [None if pd.isna(v) and n in customers.CATEGORICAL else v for v in rows[n]]
            for n in names
        }
        expected = self.pipeline.predict_proba(rows[names])[:, 1]
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


@pytest.fixture(scope="module", params=list(customers.MODELS))
def twins(request: pytest.FixtureRequest, built_evaluated: Path) -> Twins:
    """Each model in both forms."""
    pipeline = fitted(rows_of(built_evaluated, "train"), **customers.MODELS[request.param])
    exported = portable.export(pipeline)
    return Twins(pipeline, exported, rows_of(built_evaluated, "holdout"))


def varied(rows: pd.DataFrame, column: str, values: list[Any]) -> pd.DataFrame:
    """Some real rows, each with every value in the column."""
    some = pd.concat([rows.head(5)] * len(values))
    every = [value for value in values for _ in range(5)]
    # As DuckDB gives it: to scikit-learn None and NaN are two kinds of missing.
    return some.assign(**{column: pd.Series(every, some.index, rows[column].dtype)})


def test_both_agree_on_every_row(twins: Twins, built_evaluated: Path) -> None:
    assert twins.differ(twins.rows) <= SURELY
    assert twins.differ(rows_of(built_evaluated, "train")) <= SURELY


@pytest.mark.parametrize("column", customers.NUMERIC)
def test_both_agree_beside_every_threshold(twins: Twins, column: str) -> None:
    values = [0.0, -0.0, -1e30, 1e-300, 1e30, *twins.near(column)]
    assert twins.differ(varied(twins.rows, column, values)) <= SURELY


@pytest.mark.parametrize("column", customers.NUMERIC)
def test_both_agree_without_a_number(twins: Twins, column: str) -> None:
    assert twins.differ(varied(twins.rows, column, [np.nan])) <= SURELY


@pytest.mark.parametrize("column", customers.CATEGORICAL)
def test_both_agree_on_unseen_and_missing_categories(twins: Twins, column: str) -> None:
    rows = varied(twins.rows, column, ["never seen", "", None])
    assert twins.differ(rows) <= SURELY


def test_both_agree_when_nothing_is_known(twins: Twins) -> None:
    rows = twins.rows.head(5)
    for name in DATA.columns:
        rows = varied(rows, name, [None])
    assert rows[list(DATA.columns)].isna().all(axis=None)
    assert twins.differ(rows) <= SURELY


@pytest.mark.parametrize("column", customers.NUMERIC)
def test_both_agree_on_infinity(twins: Twins, column: str) -> None:
    if type(twins.pipeline["estimator"]).__name__ != "HistGradientBoostingClassifier":
        pytest.skip("scikit-learn takes infinity for boosted trees only")
    assert twins.differ(varied(twins.rows, column, [np.inf, -np.inf])) <= SURELY


def test_answers_to_many_rows_are_those_to_each(twins: Twins) -> None:
    many = pd.concat([twins.rows] * 3)  # over the predictor's block
    assert len(many) > 800
    assert twins.differ(many) <= SURELY


def test_the_rows_beside_thresholds_are_told_apart(twins: Twins) -> None:
    if twins.exported.form != "trees":
        pytest.skip("a linear model has no thresholds")
    values = twins.near("age")
    rows = varied(twins.rows, "age", values)[list(DATA.columns)]
    answers = twins.pipeline.predict_proba(rows)[:, 1].reshape(len(values), -1)
    assert len(np.unique(answers[:, 0])) > 3


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
    with pytest.raises(portable.NotPortable, match="a tree of over 64 leaves; see max_leaf_nodes"):
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
    with pytest.raises(portable.NotPortable, match=r"^ExtraTreesClassifier$"):
        portable.export(pipeline)


@pytest.mark.parametrize("name", ["random_forest", "hist_gradient_boosting"])
def test_trees_on_one_hot_columns_have_no_portable_form(name: str, built_evaluated: Path) -> None:
    rows = rows_of(built_evaluated, "train")
    pipeline = fitted(rows, **customers.MODELS[name] | {"encoding": "one_hot"})
    with pytest.raises(portable.NotPortable, match="Classifier with encoding one_hot"):
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
