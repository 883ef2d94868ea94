"""Contributions must be Shapley values: held to all subsets of columns on scikit-learn's nodes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package }} import config, paths
from {{ cookiecutter.__package }}.pipeline import train
from {{ cookiecutter.__package }}.registry import lineage, portable
from {{ cookiecutter.__package }}.registry.build import build
from {{ cookiecutter.__package }}.serving.bundle import REFERENCE, Model
from {{ cookiecutter.__package }}.serving.explain import Explanation, TreeShap

from .. import customers, project

COLUMNS = list(customers.PARAMS["data"]["columns"])
SURELY = 1e-12
Known = frozenset[int]


@dataclass
class Explained:
    """A fitted pipeline, its bundle's model and the holdout."""

    pipeline: Any
    model: Model
    rows: pd.DataFrame

    def explain(self, rows: pd.DataFrame) -> list[Explanation]:
        """The bundle's explanation of each row."""
        values = [
            {name: None if pd.isna(value) else value for name, value in row.items()}
            for row in rows[COLUMNS].to_dict("records")
        ]
        return [
            self.model.explain(msgspec.convert(row, self.model.schema.row_type)) for row in values
        ]

    def raw(self, rows: pd.DataFrame) -> Any:
        """scikit-learn's output before the link."""
        if hasattr(self.pipeline, "decision_function"):
            return self.pipeline.decision_function(rows[COLUMNS])
        return self.pipeline.predict_proba(rows[COLUMNS])[:, 1]

    def odd(self) -> pd.DataFrame:
        """A complete row, rows with missing values and rows with unseen categories."""
        some = self.rows[self.rows[COLUMNS].notna().all(axis=1)].head(4).copy()
        some.loc[some.index[1], ["annual income (€)", "friend's plan"]] = None
        some.loc[some.index[2], ["from", "friend's plan"]] = "never seen"
        some.loc[some.index[3], "region"] = "never seen"
        return some


def built(name: str, evaluated: Path, folder: Path) -> Explained:
    with project.inside(project.copied(evaluated, folder)):
        project.write_params(model=customers.MODELS[name])
        project.run("train", "evaluate")
        pipeline, aside = joblib.load(paths.MODEL), folder / "bundle"
        aside.mkdir()
        data = config.read("data", config.Data)
        build("customers", data, lineage.read(), pipeline, aside)
        return Explained(pipeline, Model(aside), customers.read(paths.HOLDOUT))


@pytest.fixture(scope="module")
def bundles(built_evaluated: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Call it with a model's name for that model, released."""
    return cache(
        lambda name: built(name, built_evaluated, tmp_path_factory.mktemp(name) / "project")
    )


@pytest.fixture(params=list(customers.MODELS))
def explained(request: pytest.FixtureRequest, bundles: Callable[[str], Explained]) -> Explained:
    """Each model."""
    return bundles(request.param)


@dataclass
class Node:
    """A node of one of scikit-learn's trees, for one row."""

    leaf: bool
    column: int
    children: tuple[int, int]
    cover: float
    value: float
    side: int  # where the row goes: 0 is left


def boosted(estimator: Any, row: Any) -> Iterator[list[Node]]:
    def side(node: Any, bitsets: Any) -> int:
        value = row[node["feature_idx"]]
        if np.isnan(value):
            return int(not node["missing_go_to_left"])
        if node["is_categorical"]:
            word = int(bitsets[node["bitset_idx"]][int(value) // 32])
            return int(not word >> int(value) % 32 & 1)
        return int(value > node["num_threshold"])

    for (predictor,) in estimator._predictors:
        bitsets = predictor.raw_left_cat_bitsets
        yield [
            Node(
                leaf=bool(node["is_leaf"]),
                column=int(node["feature_idx"]),
                children=(int(node["left"]), int(node["right"])),
                cover=float(node["count"]),
                value=float(node["value"]),
                side=0 if node["is_leaf"] else side(node, bitsets),
            )
            for node in predictor.nodes
        ]


def forest(estimator: Any, row: Any) -> Iterator[list[Node]]:
    for tree in (member.tree_ for member in estimator.estimators_):
        values = row.astype(np.float32)[tree.feature]
        right = np.where(np.isnan(values), 1 - tree.missing_go_to_left, values > tree.threshold)
        yield [
            Node(
                leaf=bool(tree.children_left[at] < 0),
                column=int(tree.feature[at]),
                children=(int(tree.children_left[at]), int(tree.children_right[at])),
                cover=float(tree.weighted_n_node_samples[at]),
                value=float(tree.value[at, 0, 1]) / len(estimator.estimators_),
                side=int(right[at]),
            )
            for at in range(tree.node_count)
        ]


def expected(tree: list[Node], known: Known, at: int = 0) -> float:
    """A tree's answer when some columns of the row are known."""
    node = tree[at]
    if node.leaf:
        return node.value
    if node.column in known:
        return expected(tree, known, node.children[node.side])
    parts = [tree[child].cover * expected(tree, known, child) for child in node.children]
    return sum(parts) / node.cover


def shapley(trees: list[list[Node]], count: int) -> list[float]:
    """By definition: what a column adds to each subset of the others, weighted."""

    @cache
    def value(known: Known) -> float:
        return sum(expected(tree, known) for tree in trees)

    return [
        sum(
            (value(frozenset({*subset, i})) - value(frozenset(subset)))
            / (count * comb(count - 1, size))
            for size in range(count)
            for subset in combinations(sorted({*range(count)} - {i}), size)
        )
        for i in range(count)
    ]


def test_base_and_contributions_add_up_to_the_raw_output(explained: Explained) -> None:
    rows = pd.concat([explained.rows, explained.odd()])
    found = [e.base + sum(e.contributions.values()) for e in explained.explain(rows)]
    assert len(rows) > 250
    assert np.abs(found - explained.raw(rows)).max() <= SURELY


def test_a_forest_rounds_a_number_before_it_is_explained(
    bundles: Callable[[str], Explained],
) -> None:
    explained = bundles("random_forest")
    columns = list(explained.pipeline["columns"].get_feature_names_out())
    age = columns.index("numeric__age")
    trees = [member.tree_ for member in explained.pipeline["estimator"].estimators_]
    every = np.unique(np.concatenate([tree.threshold[tree.feature == age] for tree in trees]))
    rows = explained.rows.head(len(every)).assign(age=np.nextafter(every, np.inf))
    found = [e.base + sum(e.contributions.values()) for e in explained.explain(rows)]
    assert np.abs(found - explained.raw(rows)).max() <= SURELY


@pytest.mark.parametrize(
    ("name", "nodes"), [("hist_gradient_boosting", boosted), ("random_forest", forest)]
)
def test_a_tree_models_contributions_are_shapley_values(
    name: str,
    nodes: Callable[[Any, Any], Iterator[list[Node]]],
    bundles: Callable[[str], Explained],
) -> None:
    explained = bundles(name)
    names = [column.name for column in explained.model.schema.columns]
    odd = explained.odd()
    encoded = explained.pipeline["columns"].transform(odd[COLUMNS])
    for row, explanation in zip(np.asarray(encoded), explained.explain(odd), strict=True):
        by_definition = shapley(list(nodes(explained.pipeline["estimator"], row)), len(names))
        found = [explanation.contributions[name] for name in names]
        assert found == pytest.approx(by_definition, rel=0, abs=SURELY)


def test_a_linear_models_contributions_are_shapley_values(
    bundles: Callable[[str], Explained],
) -> None:
    explained = bundles("logistic_regression")
    sample = customers.read(explained.model.folder / REFERENCE)
    base = explained.raw(sample).mean()
    odd = explained.odd()
    for (_, row), explanation in zip(odd.iterrows(), explained.explain(odd), strict=True):
        assert explanation.base == pytest.approx(base, rel=0, abs=SURELY)
        for name, found in explanation.contributions.items():
            same = pd.Series([row[name]] * len(sample), sample.index, sample[name].dtype)
            added = explained.raw(sample.assign(**{name: same})).mean() - base
            assert found == pytest.approx(added, rel=0, abs=SURELY)


def test_every_column_is_named_and_the_largest_comes_first(explained: Explained) -> None:
    orders = set()
    for explanation in explained.explain(explained.rows.head(50)):
        sizes = [abs(number) for number in explanation.contributions.values()]
        assert sizes == sorted(sizes, reverse=True)
        assert set(explanation.contributions) == set(COLUMNS)
        orders.add(tuple(explanation.contributions))
    assert len(orders) > 1


@pytest.mark.parametrize(
    ("name", "unit", "method"),
    [
        ("hist_gradient_boosting", "log_odds", "tree_shap_path_dependent"),
        ("random_forest", "probability", "tree_shap_path_dependent"),
        ("logistic_regression", "log_odds", "linear_shap"),
    ],
)
def test_an_explanation_says_its_unit_and_method(
    name: str, unit: str, method: str, bundles: Callable[[str], Explained]
) -> None:
    explained = bundles(name)
    (explanation,) = explained.explain(explained.rows.head(1))
    assert (explanation.unit, explanation.method) == (unit, method)


def numbers_only(table: pd.DataFrame, labels: Any, **estimator: Any) -> Any:
    model = {"name": "x", "encoding": "ordinal", "estimator": estimator}
    kinds: dict[str, config.Kind] = dict.fromkeys(table, "numeric")
    return train.build(config.check(model, config.Model, ""), kinds).fit(table, labels)


def test_a_path_through_many_columns_keeps_its_precision() -> None:
    # Rows of kind k have a 0 in column k only, and there are 2^k of them; one row has none. So the
    # tree is a chain: each split sets one kind apart.
    count = 12
    kinds = np.repeat(np.arange(count + 1), [*(2 ** np.arange(count)), 1])
    table = pd.DataFrame(np.where(kinds[:, None] == np.arange(count), 0.0, 1.0))
    table.columns = [f"x{i}" for i in range(count)]
    pipeline = numbers_only(
        table,
        kinds == count,
        _target_="sklearn.ensemble.RandomForestClassifier",
        n_estimators=1,
        bootstrap=False,
        max_features=None,
    )
    exported = portable.export(pipeline)
    assert exported.arrays["path_columns"].shape == (count, count + 1)
    explainer = TreeShap(exported.arrays, exported.meta)
    for row in (np.ones(count), np.zeros(count), np.arange(count) % 2.0):
        by_definition = shapley(list(forest(pipeline["estimator"], row)), count)
        found = explainer.contributions([np.array([value]) for value in row])
        np.testing.assert_allclose(found, by_definition, rtol=1e-9, atol=1e-15)


def test_a_model_without_a_split_has_its_base_only() -> None:
    table = pd.DataFrame({"x": np.arange(20.0)})
    pipeline = numbers_only(
        table,
        np.arange(20) % 2,
        _target_="sklearn.ensemble.HistGradientBoostingClassifier",
        max_iter=2,
    )
    exported = portable.export(pipeline)
    explainer = TreeShap(exported.arrays, exported.meta)
    assert explainer.contributions([np.array([1.0])]).tolist() == [0.0]
    expected = pipeline.decision_function(table)[0]
    assert explainer.base() == pytest.approx(expected, rel=0, abs=SURELY)
