"""Fitted trees of any library, as the portable form is made from them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..serving.predictor import Link


class NotPortable(Exception):
    """Why a model has no exact portable form."""


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
    values: NDArray[Any]  # of shape (nodes, values of a leaf)
    cover: NDArray[np.float64]  # by node, how many training rows came through


@dataclass
class Forest:
    """Trees, and what their sum is to become; see `serving.predictor.Trees`."""

    trees: list[Tree]
    base: list[float]
    scale: float = 1.0
    outputs: int = 1
    link: Link = "identity"
    float32: bool = False  # inputs are rounded to it before they are compared
    tolerance: float | None = None  # of an answer, where the usual one cannot be kept


def link_of(estimator: Any) -> Link:
    """What a classifier's or a regressor's sums become."""
    if not hasattr(estimator, "classes_"):
        return "identity"
    return "logit" if len(estimator.classes_) == 2 else "softmax"
