"""Reading the trees of XGBoost's models, from what the library itself saves."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..serving.predictor import Link
from .forest import Forest, Node, NotPortable, Tree

LINKS: dict[str, Link] = {
    "binary:logistic": "logit",
    "multi:softprob": "softmax",
    "reg:squarederror": "identity",
    "reg:absoluteerror": "identity",
}
# XGBoost adds and links in single precision. Sums are the same to the last bit; the exponential
# function of its C library may round one in some hundred answers to the next number.
TOLERANCE = 2e-7


def read(estimator: Any) -> Forest:
    """The trees of a fitted XGBClassifier or XGBRegressor."""
    booster = estimator.get_booster()
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    objective, boosting = learner["objective"]["name"], learner["gradient_booster"]
    link = LINKS.get(objective)
    if link is None or boosting["name"] != "gbtree":
        raise NotPortable(f"XGBoost with {boosting['name']} and the objective {objective}")
    outputs = max(1, int(learner["learner_model_param"]["num_class"]))
    model = boosting["model"]
    turns = [number % outputs for number in range(len(model["trees"]))]
    if model["tree_info"] != turns or "best_iteration" in learner["attributes"]:
        raise NotPortable("XGBoost with parallel trees or early stopping")
    base = np.float32(json.loads(learner["learner_model_param"]["base_score"]))
    if link == "logit":
        base = -np.log((1 / base - 1).astype(np.float64)).astype(np.float32)
    return Forest(
        [_tree(tree) for tree in model["trees"]],
        np.broadcast_to(base, outputs).tolist(),
        link=link,
        outputs=outputs,
        float32=True,
        tolerance=TOLERANCE,
    )


def _tree(tree: dict[str, Any]) -> Tree:
    if any(tree["split_type"]):
        raise NotPortable("XGBoost with categorical splits; use `encoding: ordinal`")
    conditions: NDArray[Any] = np.array(tree["split_conditions"], dtype=np.float32)
    # A value goes left below its threshold, ours also at it: so the next number before it.
    before = np.nextafter(conditions, np.float32(-np.inf))
    splits = {
        number: Node(
            column=tree["split_indices"][number],
            left=left,
            right=tree["right_children"][number],
            threshold=float(before[number]),
            missing_left=bool(tree["default_left"][number]),
        )
        for number, left in enumerate(tree["left_children"])
        if left >= 0
    }
    return Tree(splits, conditions[:, None], np.array(tree["sum_hessian"], dtype=np.float64))
