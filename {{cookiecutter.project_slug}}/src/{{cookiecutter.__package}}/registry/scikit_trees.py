"""Reading the trees of scikit-learn's models."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .forest import Forest, Node, NotPortable, Tree, link_of


def boosted(estimator: Any) -> Forest:
    """HistGradientBoosting: in each iteration one tree for each output."""
    link = link_of(estimator)
    if link == "identity" and estimator.loss not in ("squared_error", "absolute_error", "quantile"):
        raise NotPortable(f"the loss {estimator.loss}")
    trees = [
        _boosted_tree(predictor) for iteration in estimator._predictors for predictor in iteration
    ]
    base = estimator._baseline_prediction.ravel().tolist()
    return Forest(trees, base, link=link, outputs=len(base))


def _boosted_tree(predictor: Any) -> Tree:
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
    values = nodes["value"].astype(np.float64)[:, None]
    return Tree(splits, values, nodes["count"].astype(np.float64))


def _bits(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    return np.unpackbits(words.view(np.uint8), bitorder="little").astype(bool)


def random(estimator: Any) -> Forest:
    """A random forest: the mean of its trees, whose leaves hold a value for each class."""
    trees = [_forest_tree(member.tree_) for member in estimator.estimators_]
    outputs = trees[0].values.shape[1]
    # These trees compare inputs rounded to float32.
    return Forest(trees, [0.0] * outputs, scale=len(trees), outputs=outputs, float32=True)


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
    values = tree.value[:, 0, :].astype(np.float64)
    # Of two classes the second is told.
    values = values[:, 1:] if values.shape[1] == 2 else values
    return Tree(splits, values, tree.weighted_n_node_samples)
