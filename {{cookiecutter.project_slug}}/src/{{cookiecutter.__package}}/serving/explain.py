"""What each column adds to one answer: exact Shapley values of the model's raw output.

They add up, with the output expected of an unknown row (the base), to the raw output of the row:
the log-odds of the answered class, its probability where trees or scikit-learn itself give that, or
the predicted number. With more than two classes the log-odds are up to a constant of the row.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
import numpy as np

from .predictor import Arrays, Columns, Floats, interval, linear_terms, thresholds_of

Unit = Literal["log_odds", "probability", "value"]
Method = Literal["tree_shap_path_dependent", "linear_shap", "sampled_shapley"]


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
        self._thresholds = thresholds_of(arrays, meta)
        self._columns, self._cover = arrays["path_columns"], arrays["path_cover"]
        self._tree, self._bit = np.divmod(arrays["path_leaf"], np.uint32(64))
        self._outputs: int = meta["outputs"]
        leaves = arrays["leaves"].astype(np.float64)
        self._values: Floats = leaves.reshape(-1, leaves.shape[2])[arrays["path_leaf"]]
        self._values /= meta["scale"]
        self._base = np.reshape(meta["base"], -1) / meta["scale"]
        points, weights = np.polynomial.legendre.leggauss(len(self._cover) // 2 + 1)
        self._points = list(zip((points + 1) / 2, weights / 2, strict=True))  # of [0, 1]
        self.unit: Unit = meta["unit"]

    def _of(self, output: int) -> Floats:
        """What each leaf adds to an output."""
        if self._values.shape[1] > 1 or self._outputs == 1:
            found: Floats = self._values[:, output % self._values.shape[1]]
            return found
        mine: Floats = self._values[:, 0] * (self._tree % self._outputs == output)
        return mine

    def base(self, output: int = 0) -> float:
        """The output expected of an unknown row."""
        expected = self._cover.prod(axis=0) @ self._of(output)
        return float(self._base[output % len(self._base)] + expected)

    def contributions(self, columns: Columns, output: int = 0) -> Floats:
        """One number a column, shape (columns,), for columns of length 1."""
        gain = self._stays(columns) - self._cover
        integral = np.zeros_like(gain)
        for point, weight in self._points:
            factors = self._cover + gain * point
            integral += weight * factors.prod(axis=0) / factors  # those of all other columns
        shares = gain * integral * self._of(output)
        total = np.bincount(self._columns.ravel(), shares.ravel(), len(columns) + 1)
        return total[:-1].astype(np.float64)  # the last is the padding's

    def _stays(self, columns: Columns) -> Floats:
        """1 where the row stays on a leaf's path at the splits on a column, else 0."""
        tables = zip(columns, self._thresholds, self._masks, strict=True)
        found = [masks[interval(values, thresholds)[0]] for values, thresholds, masks in tables]
        reachable = np.array([*found, np.full_like(found[0], ~np.uint64(0))])  # all at the padding
        bits = reachable[self._columns, self._tree] >> self._bit
        return (bits & np.uint64(1)).astype(np.float64)


class LinearShap:
    """A column's term less its mean over a sample of the training rows.

    Exact Shapley values of a linear model whose unknown columns are drawn from these rows, each
    independently of the others (Štrumbelj and Kononenko, 2014).
    """

    method: Method = "linear_shap"

    def __init__(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        self._arrays, self._means = arrays, arrays["mean_terms"]
        self._base: Floats = np.array(meta["base"]) + self._means.sum(axis=0)
        self.unit: Unit = meta["unit"]

    def base(self, output: int = 0) -> float:
        """The output expected of an unknown row."""
        return float(self._base[output])

    def contributions(self, columns: Columns, output: int = 0) -> Floats:
        """One number a column, shape (columns,), for columns of length 1."""
        terms: Floats = linear_terms(self._arrays, columns)[:, 0] - self._means
        return terms[:, output]


class SampledShapley:
    """For any predictor: how the answer changes as the columns of a training row become this row's.

    Mean over some training rows and, for each, one order of the columns and its reverse (Štrumbelj
    and Kononenko, 2014). Always the same orders, so always the same answer. An estimate: the base
    is exact only for these training rows, the sum always.
    """

    method: Method = "sampled_shapley"

    def __init__(
        self, predict: Callable[[Columns], Floats], background: Columns, unit: Unit
    ) -> None:
        self._predict, self._background, self.unit = predict, background, unit
        random = np.random.default_rng(0)
        orders = [random.permutation(len(background)) for _ in background[0]]
        self._orders = [way for order in orders for way in (order, order[::-1])]

    def base(self, output: int = 0) -> float:
        """The output expected of an unknown row."""
        return float(self._answers(self._background, output).mean())

    def contributions(self, columns: Columns, output: int = 0) -> Floats:
        """One number a column, shape (columns,), for columns of length 1."""
        count = len(columns)
        # Row s of a walk: the first s columns of its order are known.
        known = np.array([np.argsort(order) for order in self._orders])[:, None, :]
        mixed = known < np.arange(count + 1)[None, :, None]
        rows = np.repeat(np.arange(len(self._orders)) // 2, count + 1)
        flat = mixed.reshape(-1, count)
        table = [
            np.where(flat[:, i], columns[i][0], self._background[i][rows]) for i in range(count)
        ]
        answers = self._answers(table, output).reshape(len(self._orders), count + 1)
        total = np.zeros(count)
        for order, step in zip(self._orders, np.diff(answers, axis=1), strict=True):
            total[order] += step
        return total / len(self._orders)

    def _answers(self, columns: Columns, output: int) -> Floats:
        found = self._predict(columns)
        return found if found.ndim == 1 else found[:, output]


Explainer = TreeShap | LinearShap | SampledShapley
EXPLAINERS: dict[str, Callable[[Arrays, dict[str, Any]], Explainer]] = {
    "trees": TreeShap,
    "linear": LinearShap,
}


def explained(explainer: Explainer, columns: Columns, names: list[str], output: int) -> Explanation:
    """The explanation of one row, given as columns of length 1 with their names."""
    pairs = zip(names, explainer.contributions(columns, output).tolist(), strict=True)
    ordered = dict(sorted(pairs, key=lambda pair: abs(pair[1]), reverse=True))
    return Explanation(explainer.base(output), explainer.unit, explainer.method, ordered)
