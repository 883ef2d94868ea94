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
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Columns = Sequence[NDArray[Any]]
Values = Sequence[Any]
Arrays = Mapping[str, NDArray[Any]]
Output = float | list[float]  # of one row: a probability or a number, or one a class
Link = Literal["identity", "logit", "softmax"]  # of what it is that the trees or terms are a sum
JOINED = 700  # rows of a joined table; many more, and a processor's cache no longer holds it
LARGEST, INFINITY = sys.float_info.max, math.inf


class Predictor(Protocol):
    """Anything that turns encoded rows into answers.

    An answer is the probability of the last of two classes, that of each class, or a number.
    """

    def predict(self, columns: Columns) -> Floats:
        """Answers, shape (n,) or (n, classes), for columns of length n."""
        ...

    def one(self, values: Values) -> Output:
        """The answer to a single row: the same without an array a column."""
        ...


class Trees:
    """A sum over decision trees of up to 64 leaves each, or a sum for each of several outputs.

    A leaf holds a value for each output, or else the trees take turns: one for the first output,
    one for the second and so on.

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
            list(range(height)) if found is None else np.minimum(found, LARGEST).tolist()
            for found, height in zip(thresholds, heights, strict=True)
        ]
        self._first = [sum(heights[:i]) for i in numbers]  # row of a column in the whole table
        # Half the memory to read where no tree has over 32 leaves, as in most boosted models.
        word = np.uint32 if (masks[0] < 1 << 32).all() else np.uint64
        self._table = np.concatenate(masks).astype(word)
        leaves = arrays["leaves"].copy()  # of shape (trees, 64, values of a leaf)
        # The estimator adds trees to the base, so this is part of what is added first.
        base = np.reshape(meta["base"], (-1, 1, leaves.shape[2]))
        leaves[: len(base)] += base
        # Many rows: a table for several columns.
        self._joined = joined(np.split(self._table, self._first[1:]))
        # A float that holds powers of two as large as the words, and its exponent's place and bias.
        narrow = word == np.uint32
        facts = np.finfo(np.float32 if narrow else np.float64)
        self._float, self._bits = facts.dtype, np.dtype(np.int32 if narrow else np.int64)
        self._shift = self._bits.type(facts.nmant)
        self._begin = np.arange(len(leaves)) * leaves.shape[1] - (facts.maxexp - 1)
        self._outputs: int = meta["outputs"]
        self._leaves = leaves.ravel() if self._outputs == 1 else leaves.reshape(-1, leaves.shape[2])
        self._scale = float(meta["scale"])
        self._link: Link = meta["link"]
        self._single = leaves.dtype == np.float32

    def predict(self, columns: Columns) -> Floats:
        """Answers, shape (n,) or (n, outputs), for columns of length n."""
        blocks = range(0, len(columns[0]), 256)  # what a processor's cache can hold
        parts = [self._block([column[at : at + 256] for column in columns]) for at in blocks]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def one(self, values: Values) -> Output:
        """The answer to a single row."""
        if None in values or INFINITY in values:
            values = [INFINITY if value is None else min(value, LARGEST) for value in values]
        rows = map(add, map(bisect_left, self._lists, values), self._first)
        places = np.fromiter(rows, np.intp, len(self._first))
        left = self._left(np.bitwise_and.reduce(self._table.take(places, axis=0)))
        if self._outputs > 1:
            return self._several(self._leaves.take(left, axis=0))
        # One tree after the other, as the estimator adds them: other orders round differently.
        leaves = self._leaves.take(left)
        total = float(np.add.accumulate(leaves)[-1]) / self._scale
        if self._link == "identity":
            return total
        if self._single:
            return float(linked(np.array([total], np.float32), self._link)[0])
        small = math.exp(-abs(total))
        return (1.0 if total >= 0 else small) / (1.0 + small)

    def _left(self, reachable: NDArray[Any]) -> NDArray[Any]:
        """The place of each tree's one leaf that is left.

        A power of two is exact as a float, so its exponent is the number of its bit.
        """
        powers = reachable.astype(self._float).view(self._bits)
        places: NDArray[Any] = (powers >> self._shift) + self._begin
        return places

    def _several(self, values: Floats) -> list[float]:
        total = np.add.accumulate(values.reshape(-1, self._outputs))[-1] / self._scale
        found: list[float] = linked(total, self._link).tolist()
        return found

    def _block(self, columns: Columns) -> Floats:
        rows = [interval(*one) for one in zip(columns, self._thresholds, strict=True)]
        parts = (table.take(place_of(rows, heights), axis=0) for heights, table in self._joined)
        reachable = next(parts)
        for part in parts:
            np.bitwise_and(reachable, part, out=reachable)
        places = self._left(reachable)
        if self._outputs > 1:
            values = self._leaves.take(places, axis=0, mode="clip")
            turns = values.reshape(len(values), -1, self._outputs)
            return linked(np.add.reduce(turns, axis=1) / self._scale, self._link)
        values = self._leaves.take(places, mode="clip")  # unbuffered: they all fit
        total: Floats = np.add.reduce(np.ascontiguousarray(values.T)) / self._scale
        return linked(total, self._link)


def thresholds_of(arrays: Arrays, meta: dict[str, Any]) -> list[Floats | None]:
    """Of each column the thresholds to which plain float64 values are held; None for codes.

    They end with infinity.
    """
    found = (arrays.get(f"thresholds_{i}") for i in range(meta["columns"]))
    reach = _reach if meta["float32"] else np.asarray  # the estimator may round its inputs
    return [None if one is None else np.append(reach(one), INFINITY) for one in found]


def joined(tables: Sequence[NDArray[Any]]) -> list[tuple[dict[int, int], NDArray[Any]]]:
    """Tables of which each stands for one or several columns: fewer look-ups for the same bits.

    With each table come the numbers of its columns and how many rows each had.
    """
    found: list[tuple[dict[int, int], NDArray[Any]]] = []
    for column in sorted(range(len(tables)), key=lambda one: len(tables[one])):
        height, table = len(tables[column]), tables[column]
        if found and len(found[-1][1]) * height <= JOINED:
            heights, other = found.pop()
            both = (other[:, None] & table).reshape(-1, table.shape[1])
            found.append(({**heights, column: height}, both))
        else:
            found.append(({column: height}, table))
    return found


def place_of(rows: Sequence[NDArray[Any]], heights: Mapping[int, int]) -> NDArray[Any]:
    """The row of a joined table for the rows that the columns' own tables would have."""
    (column, _), *others = heights.items()
    place = rows[column]
    for column, height in others:
        place = place * height + rows[column]
    return place


def interval(values: NDArray[Any], thresholds: Floats | None) -> NDArray[Any]:
    """The row of a column's table for each of its values."""
    # NaN sorts after infinity, which ends the thresholds: its row is the last.
    return values if thresholds is None else thresholds.searchsorted(values)


def _reach(thresholds: Floats) -> Floats:
    """The largest float64 that, rounded to float32, is not above each threshold."""
    below = thresholds.astype(np.float32)
    below = np.where(below > thresholds, np.nextafter(below, np.float32(-np.inf)), below)
    above = np.nextafter(below, np.float32(np.inf))
    middle = (below.astype(np.float64) + above) / 2  # a tie goes to the even neighbour
    return np.where(middle.astype(np.float32) == below, middle, np.nextafter(middle, -np.inf))


class Linear:
    """A weighted sum of scaled numbers and of one weight a category, for each output."""

    def __init__(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        self._arrays = arrays
        self._base: Floats = np.array(meta["base"])
        self._link: Link = meta["link"]

    def predict(self, columns: Columns) -> Floats:
        """Answers, shape (n,) or (n, outputs), for columns of length n."""
        total = self._base + linear_terms(self._arrays, columns).sum(axis=0)
        return linked(total[:, 0] if total.shape[1] == 1 else total, self._link)

    def one(self, values: Values) -> Output:
        """The answer to a single row."""
        found: Output = self.predict(alone(values))[0].tolist()
        return found


def alone(values: Values) -> Columns:
    """A single row as columns of length 1."""
    return [np.array([np.nan if value is None else value]) for value in values]


def linear_terms(arrays: Arrays, columns: Columns) -> Floats:
    """What each column adds to the sums of a linear model, shape (columns, n, outputs)."""
    terms = []
    for i, values in enumerate(columns):
        weights, scaling = arrays[f"weights_{i}"], arrays.get(f"scaling_{i}")
        if scaling is None:
            terms.append(weights[values])
        else:
            fill, mean, scale = scaling
            scaled = (np.where(np.isnan(values), fill, values) - mean) / scale
            terms.append(scaled[:, None] * weights)
    return np.array(terms)


def linked(total: Floats, link: Link) -> Floats:
    """Answers for sums, shape (n,), or for softmax (n, outputs) or (outputs,).

    Sums in single precision are XGBoost's, which goes on in single precision.
    """
    if link == "identity":
        return total
    if link == "logit":
        return sigmoid(total) if total.dtype != np.float32 else 1 / (1 + _exp(-total))
    powers = _exp(total - total.max(axis=-1, keepdims=True))
    summed = powers.sum(axis=-1, keepdims=True, dtype=np.float64)
    found: Floats = powers / summed.astype(powers.dtype)
    return found


def _exp(x: Floats) -> Floats:
    """The nearest number to the true one; NumPy's in single precision is up to two off."""
    return np.exp(x.astype(np.float64)).astype(x.dtype)


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)) without overflow, for an array or a number."""
    small = np.exp(-np.abs(x))
    found: Floats = np.where(x >= 0, 1.0, small) / (1.0 + small)
    return found


FORMS: dict[str, Callable[[Arrays, dict[str, Any]], Predictor]] = {"trees": Trees, "linear": Linear}
