"""The portable forms of a model: a few NumPy arrays that give exactly the estimator's answers.

Every column of a request becomes one array. A numeric column holds float64 with NaN for missing; a
categorical one holds codes: the place of the value in the vocabulary, then `len(vocabulary)` for
missing and `len(vocabulary) + 1` for a value never seen in training. A single row is a list of the
same numbers, with None in place of NaN.
"""

import math
import sys
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from operator import add
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Columns = Sequence[NDArray[Any]]
Values = Sequence[Any]
Arrays = Mapping[str, NDArray[Any]]
LARGEST, INFINITY = sys.float_info.max, math.inf


class Predictor(Protocol):
    """Anything that turns encoded rows into probabilities of label 1."""

    def predict(self, columns: Columns) -> Floats:
        """Probabilities, shape (n,), for columns of length n."""
        ...

    def one(self, values: Values) -> float:
        """The probability of a single row: the same answer without an array a column."""
        ...


class Trees:
    """A sum over decision trees of up to 64 leaves each.

    A tree is a word of 64 bits, one a leaf. For each column and each interval between its
    thresholds (or each category) a table holds, for all trees, which leaves are still reachable;
    the AND over the columns leaves exactly one bit a tree. After QuickScorer (Lucchese et al.,
    SIGIR 2015), with one look-up a column in place of its scan of thresholds.
    """

    def __init__(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        numbers = range(meta["columns"])
        masks = [arrays[f"masks_{i}"] for i in numbers]
        thresholds = self._thresholds = thresholds_of(arrays, meta)
        heights = [len(table) for table in masks]
        # One row: every column is looked up in a list, codes among the codes. After all numbers
        # comes infinity, which stands for missing.
        self._lists = [
            list(range(height))
            if found is None
            else np.append(np.minimum(found, LARGEST), LARGEST).tolist()
            for found, height in zip(thresholds, heights, strict=True)
        ]
        self._first = [sum(heights[:i]) for i in numbers]  # row of a column in the whole table
        # Half the memory to read where no tree has over 32 leaves, as in most boosted models.
        word = np.uint32 if (masks[0] < 1 << 32).all() else np.uint64
        self._table = np.concatenate(masks).astype(word)
        leaves: Floats = arrays["leaves"].copy()
        leaves[0] += float(meta["base"])
        self._leaves = leaves.ravel()
        # An exponent counts from one, so a tree's leaves begin one place early.
        self._trees = np.arange(len(leaves)) * leaves.shape[1] - 1
        self._scale = float(meta["scale"])
        self._logit: bool = meta["logit"]

    def predict(self, columns: Columns) -> Floats:
        """Probabilities, shape (n,), for columns of length n."""
        blocks = range(0, len(columns[0]), 256)  # what a processor's cache can hold
        parts = [self._block([column[at : at + 256] for column in columns]) for at in blocks]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def one(self, values: Values) -> float:
        """The probability of a single row."""
        if None in values or INFINITY in values:
            values = [INFINITY if value is None else min(value, LARGEST) for value in values]
        places = list(map(add, map(bisect_left, self._lists, values), self._first))
        reachable = np.bitwise_and.reduce(self._table.take(places, axis=0))
        # A power of two is exact as a float, so its exponent is the number of the one leaf left.
        _, exponents = np.frexp(reachable)
        # One tree after the other, as the estimator adds them: other orders round differently.
        values = self._leaves.take(exponents + self._trees)
        total = float(np.add.accumulate(values)[-1]) / self._scale
        if not self._logit:
            return total
        small = math.exp(-abs(total))
        return (1.0 if total >= 0 else small) / (1.0 + small)

    def _block(self, columns: Columns) -> Floats:
        found = zip(columns, self._thresholds, self._first, strict=True)
        places = [first + interval(values, thresholds) for values, thresholds, first in found]
        reachable = self._table.take(places[0], axis=0)
        for place in places[1:]:
            np.bitwise_and(reachable, self._table.take(place, axis=0), out=reachable)
        # The exponent by its bits: faster than `frexp` for many.
        exponents = (reachable.astype(np.float64).view(np.int64) >> 52) - 1022
        values = self._leaves.take(exponents + self._trees, mode="clip")  # unbuffered: they all fit
        total: Floats = np.add.reduce(np.ascontiguousarray(values.T)) / self._scale
        return sigmoid(total) if self._logit else total


def thresholds_of(arrays: Arrays, meta: dict[str, Any]) -> list[Floats | None]:
    """Of each column the thresholds to which plain float64 values are held; None for codes."""
    found = [arrays.get(f"thresholds_{i}") for i in range(meta["columns"])]
    if meta["float32"]:  # the estimator rounds its inputs
        return [None if thresholds is None else _reach(thresholds) for thresholds in found]
    return found


def interval(values: NDArray[Any], thresholds: Floats | None) -> NDArray[Any]:
    """The row of a column's table for each of its values."""
    if thresholds is None:
        return values
    # NaN sorts last; its row comes after the one of values above every threshold.
    found: NDArray[np.int64] = np.searchsorted(thresholds, values, side="left") + np.isnan(values)
    return found


def _reach(thresholds: Floats) -> Floats:
    """The largest float64 that, rounded to float32, is not above each threshold."""
    below = thresholds.astype(np.float32)
    below = np.where(below > thresholds, np.nextafter(below, np.float32(-np.inf)), below)
    above = np.nextafter(below, np.float32(np.inf))
    middle = (below.astype(np.float64) + above) / 2  # a tie goes to the even neighbour
    return np.where(middle.astype(np.float32) == below, middle, np.nextafter(middle, -np.inf))


class Linear:
    """A weighted sum of scaled numbers and of one weight a category."""

    def __init__(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        self._arrays = arrays
        self._base = float(meta["base"])

    def predict(self, columns: Columns) -> Floats:
        """Probabilities, shape (n,), for columns of length n."""
        return sigmoid(self._base + linear_terms(self._arrays, columns).sum(axis=0))

    def one(self, values: Values) -> float:
        """The probability of a single row."""
        return float(self.predict(alone(values))[0])


def alone(values: Values) -> Columns:
    """A single row as columns of length 1."""
    return [np.array([np.nan if value is None else value]) for value in values]


def linear_terms(arrays: Arrays, columns: Columns) -> Floats:
    """What each column adds to the sum of a linear model, shape (columns, n)."""
    terms = []
    for i, values in enumerate(columns):
        weights, scaling = arrays[f"weights_{i}"], arrays.get(f"scaling_{i}")
        if scaling is None:
            terms.append(weights[values])
        else:
            fill, mean, scale = scaling
            terms.append((np.where(np.isnan(values), fill, values) - mean) / scale * weights[0])
    return np.array(terms)


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)) without overflow, for an array or a number."""
    small = np.exp(-np.abs(x))
    found: Floats = np.where(x >= 0, 1.0, small) / (1.0 + small)
    return found


FORMS: dict[str, Callable[[Arrays, dict[str, Any]], Predictor]] = {"trees": Trees, "linear": Linear}
