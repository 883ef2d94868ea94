"""Reading the trees of LightGBM's models, from what the library itself dumps."""

from typing import Any

import numpy as np

from ..serving.predictor import Link
from .forest import Forest, Node, NotPortable, Tree

LINKS: dict[str, Link] = {
    "binary sigmoid:1": "logit",
    "multiclass": "softmax",
    "regression": "identity",
    "regression_l1": "identity",
    "huber": "identity",
    "quantile": "identity",
}


def read(estimator: Any) -> Forest:
    """The trees of a fitted LGBMClassifier or LGBMRegressor."""
    dumped = estimator.booster_.dump_model()
    objective = dumped["objective"]
    link = LINKS.get(objective) or LINKS.get(objective.split()[0])
    if link is None or dumped["average_output"]:
        raise NotPortable(f"LightGBM with the objective {objective}")
    trees = [_tree(info["tree_structure"]) for info in dumped["tree_info"]]
    outputs = dumped["num_tree_per_iteration"]
    return Forest(trees, [0.0] * outputs, link=link, outputs=outputs)


def _tree(root: dict[str, Any]) -> Tree:
    nodes = [root]
    splits: dict[int, Node] = {}
    for number, node in enumerate(nodes):  # which grows on the way
        if "split_feature" in node:
            splits[number] = _node(node, left=len(nodes))
            nodes += [node["left_child"], node["right_child"]]
        elif "leaf_const" in node:
            raise NotPortable("LightGBM with linear trees")
    values = np.array([[node.get("leaf_value", 0.0)] for node in nodes])
    # A tree that is a single leaf has no count.
    cover = np.array([float(_count(node)) for node in nodes])
    return Tree(splits, values, cover)


def _count(node: dict[str, Any]) -> int:
    return int(node.get("internal_count", node.get("leaf_count", 1)))


def _node(node: dict[str, Any], left: int) -> Node:
    """As `Tree::NumericalDecision` and `CategoricalDecision` of LightGBM's tree.h decide."""
    column, threshold = node["split_feature"], node["threshold"]
    if node["decision_type"] == "==":
        codes = [int(code) for code in str(threshold).split("||")]
        left_codes = np.zeros(max(codes) + 1, dtype=bool)
        left_codes[codes] = True
        return Node(column, left, left + 1, 0.0, missing_left=False, left_codes=left_codes)
    if node["missing_type"] == "Zero":
        raise NotPortable("LightGBM with zero_as_missing")
    # Where training saw nothing missing, missing counts as zero.
    missing = node["default_left"] if node["missing_type"] == "NaN" else threshold >= 0
    return Node(column, left, left + 1, float(threshold), bool(missing))
