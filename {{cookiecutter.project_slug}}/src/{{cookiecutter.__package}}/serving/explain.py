"""What each column adds to one answer: exact Shapley values of the model's raw output.

They add up, with the output expected of an unknown row (the base), to the raw output of the row:
the log-odds of label 1, or its probability for a random forest.
"""

from typing import Any, Literal

import msgspec
import numpy as np

from .predictor import Arrays, Columns, Floats, linear_terms

Unit = Literal["log_odds", "probability"]
Method = Literal["tree_shap_path_dependent", "linear_shap"]


class Explanation(msgspec.Struct, frozen=True):
    """One answer taken apart, the column that counts most first."""

    base: float
    unit: Unit
    method: Method
    contributions: dict[str, float]


class TreeShap:
    """Path-dependent TreeSHAP (Lundberg et al., Nature Machine Intelligence 2020), leaf by leaf.

    Where a column is unknown, a tree's answer is the mean over both sides of its splits, weighted
    by the training rows on each. So a leaf counts with one factor for each column on its path: 1 or
    0 when it is known (does the row stay on the path?), else the share of training rows that stay.

    The mean over all orders of learning the columns is an integral over t from 0 to 1 in which each
    other column is known with probability t (Owen, Management Science 1972). Gauss-Legendre points
    give it exactly, for it is over a polynomial, and without cancellation, for all is positive.
    """

    method: Method = "tree_shap_path_dependent"

    def __init__(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        count = meta["columns"]
        self._masks = [arrays[f"masks_{i}"] for i in range(count)]
        self._thresholds = [arrays.get(f"thresholds_{i}") for i in range(count)]
        self._single: bool = meta["float32"]
        self._columns, self._cover = arrays["path_columns"], arrays["path_cover"]
        self._tree, self._bit = np.divmod(arrays["path_leaf"], np.uint32(64))
        self._values: Floats = arrays["leaves"].ravel()[arrays["path_leaf"]] / meta["scale"]
        points, weights = np.polynomial.legendre.leggauss(len(self._cover) // 2 + 1)
        self._points = list(zip((points + 1) / 2, weights / 2, strict=True))  # of [0, 1]
        self.unit: Unit = "log_odds" if meta["logit"] else "probability"
        expected = self._cover.prod(axis=0) @ self._values
        self.base = float(meta["base"] / meta["scale"] + expected)

    def contributions(self, columns: Columns) -> Floats:
        """One number a column, shape (columns,), for columns of length 1."""
        gain = self._stays(columns) - self._cover
        integral = np.zeros_like(gain)
        for point, weight in self._points:
            factors = self._cover + gain * point
            integral += weight * factors.prod(axis=0) / factors  # those of all other columns
        shares = gain * integral * self._values
        total = np.bincount(self._columns.ravel(), shares.ravel(), len(columns) + 1)
        return total[:-1].astype(np.float64)  # the last is the padding's

    def _stays(self, columns: Columns) -> Floats:
        """1 where the row stays on a leaf's path at the splits on a column, else 0."""
        tables = zip(columns, self._thresholds, self._masks, strict=True)
        found = [
            masks[values[0] if thresholds is None else self._interval(values[0], thresholds)]
            for values, thresholds, masks in tables
        ]
        reachable = np.array([*found, np.full_like(found[0], ~np.uint64(0))])  # all at the padding
        bits = reachable[self._columns, self._tree] >> self._bit
        return (bits & np.uint64(1)).astype(np.float64)

    def _interval(self, value: float, thresholds: Floats) -> int:
        if self._single:
            value = float(np.float32(value))
        return int(np.searchsorted(thresholds, value)) + bool(np.isnan(value))


class LinearShap:
    """A column's term less its mean over a sample of the training rows.

    Exact Shapley values of a linear model whose unknown columns are drawn from these rows, each
    independently of the others (Štrumbelj and Kononenko, 2014).
    """

    method: Method = "linear_shap"
    unit: Unit = "log_odds"

    def __init__(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        self._arrays, self._means = arrays, arrays["mean_terms"]
        self.base = float(meta["base"] + self._means.sum())

    def contributions(self, columns: Columns) -> Floats:
        """One number a column, shape (columns,), for columns of length 1."""
        terms: Floats = linear_terms(self._arrays, columns)[:, 0] - self._means
        return terms


Explainer = TreeShap | LinearShap
EXPLAINERS: dict[str, type[Explainer]] = {"trees": TreeShap, "linear": LinearShap}


def explained(explainer: Explainer, columns: Columns, names: list[str]) -> Explanation:
    """The explanation of one row, given as columns of length 1 with their names."""
    pairs = zip(names, explainer.contributions(columns).tolist(), strict=True)
    ordered = dict(sorted(pairs, key=lambda pair: abs(pair[1]), reverse=True))
    return Explanation(explainer.base, explainer.unit, explainer.method, ordered)
