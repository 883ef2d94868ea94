"""Exporting a fitted scikit-learn pipeline to the portable forms of `serving.predictor`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import leaf_paths

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

ALL = ~np.uint64(0)


class NotPortable(Exception):
    """Why a model has no exact portable form."""


@dataclass
class Portable:
    """A model as arrays: `form` names the class that reads them, `meta` its settings."""

    form: str
    meta: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    columns: list[str]  # in the order the arrays are numbered
    vocabularies: dict[str, list[str]]  # of the categorical columns


@dataclass
class Node:
    """One split: on which encoded column, and where missing values go."""

    column: int
    left: int
    right: int
    threshold: float
    missing_left: bool
    left_codes: NDArray[np.bool_] | None = None  # by category code, for a split on a set


@dataclass
class Tree:
    """Splits by node number; nodes without one are leaves with a value."""

    splits: dict[int, Node]
    values: NDArray[np.float64]
    cover: NDArray[np.float64]  # by node, how many training rows came through


def inputs(pipeline: "Pipeline") -> tuple[list[str], dict[str, list[str]]]:
    """The columns of a pipeline built by `pipeline.train.build`, and the categories of some."""
    steps = {name: (step, columns) for name, step, columns in pipeline["columns"].transformers_}
    encoder, categorical = steps["categorical"]
    numeric = steps["numeric"][1]
    seen = encoder.categories_ if categorical else []
    vocabularies = {
        name: [value for value in values if isinstance(value, str)]
        for name, values in zip(categorical, seen, strict=True)
    }
    return [*categorical, *numeric], vocabularies


def export(pipeline: "Pipeline") -> Portable:
    """The portable form of a pipeline built by `pipeline.train.build`.

    Raises `NotPortable` for one that has none. The caller checks that answers agree.
    """
    from sklearn.preprocessing import OneHotEncoder

    names, vocabularies = inputs(pipeline)
    encoder = pipeline["columns"].named_transformers_["categorical"]
    estimator = pipeline["estimator"]
    kind = type(estimator).__name__
    if kind == "LogisticRegression":
        meta, arrays = _linear(pipeline, vocabularies)
        return Portable("linear", meta | {"columns": len(names)}, arrays, names, vocabularies)
    if vocabularies and isinstance(encoder, OneHotEncoder):
        raise NotPortable(f"{kind} with encoding one_hot")
    if kind == "HistGradientBoostingClassifier":
        trees = list(_boosted_trees(estimator))
        meta = {"base": float(estimator._baseline_prediction.item()), "scale": 1.0}
        meta |= {"logit": True, "float32": False}
    elif kind == "RandomForestClassifier":
        trees = [_forest_tree(member.tree_) for member in estimator.estimators_]
        # These trees compare inputs rounded to float32.
        meta = {"base": 0.0, "scale": len(trees), "logit": False, "float32": True}
    else:
        raise NotPortable(kind)
    arrays = _tables(trees, [len(vocabularies.get(name, [])) or None for name in names])
    arrays |= leaf_paths.tabulate(trees, len(names))
    return Portable("trees", meta | {"columns": len(names)}, arrays, names, vocabularies)


def _linear(
    pipeline: "Pipeline", vocabularies: dict[str, list[str]]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    fitted = pipeline["columns"].named_transformers_
    coefficients = iter(pipeline["estimator"].coef_[0])
    arrays: dict[str, NDArray[Any]] = {}
    seen = fitted["categorical"].categories_ if vocabularies else []
    for i, (vocabulary, values) in enumerate(zip(vocabularies.values(), seen, strict=True)):
        weights = [next(coefficients) for _ in values]
        # Missing is the last category seen, or it counts nothing, as an unseen value does.
        arrays[f"weights_{i}"] = np.array([*weights, 0.0, 0.0][: len(vocabulary) + 2])
    for at, weight in enumerate(coefficients):
        imputer, scaler = (step for _, step in fitted["numeric"].steps)
        scaling = (imputer.statistics_[at], scaler.mean_[at], scaler.scale_[at])
        arrays[f"scaling_{at + len(vocabularies)}"] = np.array(scaling)
        arrays[f"weights_{at + len(vocabularies)}"] = np.array([weight])
    return {"base": float(pipeline["estimator"].intercept_[0])}, arrays


def _boosted_trees(estimator: Any) -> Iterator[Tree]:
    for (predictor,) in estimator._predictors:
        nodes = predictor.nodes
        splits = {
            number: Node(
                column=int(node["feature_idx"]),
                left=int(node["left"]),
                right=int(node["right"]),
                threshold=float(node["num_threshold"]),
                missing_left=bool(node["missing_go_to_left"]),
                left_codes=_bits(predictor.raw_left_cat_bitsets[node["bitset_idx"]])
                if node["is_categorical"]
                else None,
            )
            for number, node in enumerate(nodes)
            if not node["is_leaf"]
        }
        yield Tree(splits, nodes["value"].astype(np.float64), nodes["count"].astype(np.float64))


def _bits(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    return np.unpackbits(words.view(np.uint8), bitorder="little").astype(bool)


def _forest_tree(tree: Any) -> Tree:
    splits = {
        number: Node(
            column=int(tree.feature[number]),
            left=int(tree.children_left[number]),
            right=int(tree.children_right[number]),
            threshold=float(tree.threshold[number]),
            missing_left=bool(tree.missing_go_to_left[number]),
        )
        for number in range(tree.node_count)
        if tree.children_left[number] >= 0
    }
    return Tree(splits, tree.value[:, 0, 1].astype(np.float64), tree.weighted_n_node_samples)


def _tables(trees: list[Tree], categories: list[int | None]) -> dict[str, NDArray[Any]]:
    """Reachability tables, thresholds and leaf values; `categories` is None for numeric columns."""
    arrays: dict[str, NDArray[Any]] = {}
    goes_left: list[Callable[[Node], NDArray[np.bool_]]] = []
    for i, count in enumerate(categories):
        if count is None:
            every = [n.threshold for tree in trees for n in tree.splits.values() if n.column == i]
            thresholds = arrays[f"thresholds_{i}"] = np.unique(np.array(every, dtype=np.float64))
            goes_left.append(_by_interval(thresholds))
            height = len(thresholds) + 2  # and one row for missing
        else:
            goes_left.append(_by_category(count))
            height = count + 2  # missing, unseen
        arrays[f"masks_{i}"] = np.full((height, len(trees)), ALL)
    arrays["leaves"] = np.zeros((len(trees), 64))
    for number, tree in enumerate(trees):
        leaves: list[float] = []

        def walk(at: int) -> np.uint64:
            """Number the leaves below a node, and return them as a set of bits."""
            node = tree.splits.get(at)  # noqa: B023 - called before the loop moves on
            if node is None:
                if len(leaves) == 64:  # noqa: B023
                    raise NotPortable("a tree of over 64 leaves; see max_leaf_nodes")
                leaves.append(float(tree.values[at]))  # noqa: B023
                return np.uint64(1 << (len(leaves) - 1))  # noqa: B023
            left, right = walk(node.left), walk(node.right)
            kept = np.where(goes_left[node.column](node), ~right, ~left)
            arrays[f"masks_{node.column}"][:, number] &= kept  # noqa: B023
            return left | right

        arrays["masks_0"][:, number] &= walk(0)  # bits without a leaf are never reached
        arrays["leaves"][number, : len(leaves)] = leaves
    return arrays


def _by_interval(thresholds: NDArray[np.float64]) -> Callable[[Node], NDArray[np.bool_]]:
    intervals = np.arange(len(thresholds) + 1)

    def goes_left(node: Node) -> NDArray[np.bool_]:
        below = intervals <= np.searchsorted(thresholds, node.threshold)
        return np.append(below, node.missing_left)

    return goes_left


def _by_category(count: int) -> Callable[[Node], NDArray[np.bool_]]:
    codes = np.arange(count)

    def goes_left(node: Node) -> NDArray[np.bool_]:
        known = codes <= node.threshold if node.left_codes is None else node.left_codes[:count]
        return np.append(known, [node.missing_left] * 2)

    return goes_left
