"""Exporting a fitted pipeline to the portable forms of `serving.predictor`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..serving.predictor import Link
from . import leaf_paths, lightgbm_trees, scikit_trees, xgboost_trees
from .forest import Forest, Node, NotPortable, Tree, link_of

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

ALL = ~np.uint64(0)
LINEAR = ("LogisticRegression", "LinearRegression", "Ridge", "Lasso", "ElasticNet")
READERS: dict[str, Callable[[Any], Forest]] = {
    "HistGradientBoostingClassifier": scikit_trees.boosted,
    "HistGradientBoostingRegressor": scikit_trees.boosted,
    "LGBMClassifier": lightgbm_trees.read,
    "LGBMRegressor": lightgbm_trees.read,
    "RandomForestClassifier": scikit_trees.random,
    "RandomForestRegressor": scikit_trees.random,
    "XGBClassifier": xgboost_trees.read,
    "XGBRegressor": xgboost_trees.read,
}


@dataclass
class Portable:
    """A model as arrays: `form` names the class that reads them, `meta` its settings."""

    form: str
    meta: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    columns: list[str]  # in the order the arrays are numbered
    vocabularies: dict[str, list[str]]  # of the categorical columns


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
    if kind in LINEAR:
        meta, arrays = _linear(pipeline, vocabularies)
        link = link_of(estimator)
        meta |= {"link": link, "unit": unit(estimator, link)}
        return Portable("linear", meta | {"columns": len(names)}, arrays, names, vocabularies)
    if vocabularies and isinstance(encoder, OneHotEncoder):
        raise NotPortable(f"{kind} with encoding one_hot")
    if kind not in READERS:
        raise NotPortable(kind)
    forest = READERS[kind](estimator)
    arrays = _tables(forest.trees, [len(vocabularies.get(name, [])) or None for name in names])
    arrays |= leaf_paths.tabulate(forest.trees, len(names))
    meta = {
        "columns": len(names),
        "base": forest.base,
        "scale": forest.scale,
        "outputs": forest.outputs,
        "link": forest.link,
        "unit": unit(estimator, forest.link),
        "float32": forest.float32,
    }
    if forest.tolerance is not None:
        meta["tolerance"] = forest.tolerance
    return Portable("trees", meta, arrays, names, vocabularies)


def unit(estimator: Any, link: Link = "identity") -> str:
    """What the numbers of an explanation are."""
    if link != "identity":
        return "log_odds"
    return "probability" if hasattr(estimator, "classes_") else "value"


def _linear(
    pipeline: "Pipeline", vocabularies: dict[str, list[str]]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    fitted = pipeline["columns"].named_transformers_
    outputs = np.atleast_2d(pipeline["estimator"].coef_)
    coefficients = iter(outputs.T)  # for each encoded column one number an output
    arrays: dict[str, NDArray[Any]] = {}
    seen = fitted["categorical"].categories_ if vocabularies else []
    nothing = np.zeros(len(outputs))
    for i, (vocabulary, values) in enumerate(zip(vocabularies.values(), seen, strict=True)):
        weights = [next(coefficients) for _ in values]
        # Missing is the last category seen, or it counts nothing, as an unseen value does.
        arrays[f"weights_{i}"] = np.array([*weights, nothing, nothing][: len(vocabulary) + 2])
    for at, weight in enumerate(coefficients):
        imputer, scaler = (step for _, step in fitted["numeric"].steps)
        scaling = (imputer.statistics_[at], scaler.mean_[at], scaler.scale_[at])
        arrays[f"scaling_{at + len(vocabularies)}"] = np.array(scaling)
        arrays[f"weights_{at + len(vocabularies)}"] = weight
    return {"base": np.atleast_1d(pipeline["estimator"].intercept_).tolist()}, arrays


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
    values = trees[0].values
    arrays["leaves"] = np.zeros((len(trees), 64, values.shape[1]), values.dtype)
    for number, tree in enumerate(trees):
        leaves: list[NDArray[Any]] = []

        def walk(at: int) -> np.uint64:
            """Number the leaves below a node, and return them as a set of bits."""
            node = tree.splits.get(at)  # noqa: B023 - called before the loop moves on
            if node is None:
                if len(leaves) == 64:  # noqa: B023
                    raise NotPortable("a tree of over 64 leaves; see max_leaf_nodes")
                leaves.append(tree.values[at])  # noqa: B023
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
        if node.left_codes is None:
            known = codes <= node.threshold
        else:
            known = np.isin(codes, np.flatnonzero(node.left_codes))
        return np.append(known, [node.missing_left] * 2)

    return goes_left
