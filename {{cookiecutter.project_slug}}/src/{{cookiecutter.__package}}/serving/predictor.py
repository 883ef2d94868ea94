"""The portable forms of a model: a few NumPy arrays that give exactly the estimator's answers.

Every column of a request becomes one array. A numeric column holds float64 with NaN for missing; a
categorical one holds codes: the place of the value in the vocabulary, then `len(vocabulary)` for
missing and `len(vocabulary) + 1` for a value never seen in training.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Columns = Sequence[NDArray[Any]]
Arrays = Mapping[str, NDArray[Any]]


class Predictor(Protocol):
    """Anything that turns columns of length n into n probabilities of label 1."""

    def predict(self, columns: Columns) -> Floats:
        """Probabilities, shape (n,)."""
        ...


class Trees:
    """A sum over decision trees of up to 64 leaves each.

    A tree is a word of 64 bits, one a leaf. For each column and each interval between its
    thresholds (or each category) a table holds, for all trees, which leaves are still reachable;
    the AND over the columns leaves exactly one bit a tree. After QuickScorer (Lucchese et al.,
    SIGIR 2015), with one look-up a column in place of its scan of thresholds.
    """

    def __init__(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        count = meta["columns"]
        self._masks = [arrays[f"masks_{i}"] for i in range(count)]
        self._thresholds = [arrays.get(f"thresholds_{i}") for i in range(count)]
        self._leaves: Floats = arrays["leaves"]
        self._base, self._scale = float(meta["base"]), float(meta["scale"])
        self._single: bool = meta["float32"]
        self._logit: bool = meta["logit"]
        self._trees = np.arange(len(self._leaves))

    def predict(self, columns: Columns) -> Floats:
        """Probabilities, shape (n,), for columns of length n."""
        blocks = range(0, len(columns[0]), 2048)  # bounds the memory of a large batch
        parts = [self._block([column[at : at + 2048] for column in columns]) for at in blocks]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _block(self, columns: Columns) -> Floats:
        reachable = np.full((len(columns[0]), len(self._trees)), ~np.uint64(0))
        for values, thresholds, masks in zip(columns, self._thresholds, self._masks, strict=True):
            reachable &= masks[values if thresholds is None else self._interval(values, thresholds)]
        # A power of two is exact as a float, so its exponent is the number of the one leaf left.
        leaf = np.frexp(reachable.astype(np.float64))[1] - 1
        values = self._leaves[self._trees, leaf]
        values[:, 0] += self._base
        # In the order of the trees, as the estimator adds them: other orders round differently.
        total: Floats = np.cumsum(values, axis=1)[:, -1] / self._scale
        return sigmoid(total) if self._logit else total

    def _interval(self, values: Floats, thresholds: Floats) -> NDArray[np.int64]:
        if self._single:
            values = values.astype(np.float32).astype(np.float64)
        # NaN sorts last; its row comes after the one of values above every threshold.
        return np.searchsorted(thresholds, values, side="left") + np.isnan(values)


class Linear:
    """A weighted sum of scaled numbers and of one weight a category."""

    def __init__(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        self._weights = [arrays[f"weights_{i}"] for i in range(meta["columns"])]
        self._scaling = [arrays.get(f"scaling_{i}") for i in range(meta["columns"])]
        self._base = float(meta["base"])

    def predict(self, columns: Columns) -> Floats:
        """Probabilities, shape (n,), for columns of length n."""
        total = np.full(len(columns[0]), self._base)
        for values, scaling, weights in zip(columns, self._scaling, self._weights, strict=True):
            if scaling is None:
                total += weights[values]
            else:
                fill, mean, scale = scaling
                total += (np.where(np.isnan(values), fill, values) - mean) / scale * weights[0]
        return sigmoid(total)


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


FORMS: dict[str, Callable[[Arrays, dict[str, Any]], Predictor]] = {"trees": Trees, "linear": Linear}
