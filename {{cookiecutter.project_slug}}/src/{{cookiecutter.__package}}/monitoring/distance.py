"""How far two samples of one column lie apart, and how far chance alone would bring them.

Everything is counted by distinct value: a sample is the number of its rows with each value of both
samples, and of its rows without one.
"""

import math
from statistics import NormalDist
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]
Statistic = Literal["missing", "unseen", "outside", "vanished", "stuck", "distance"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
BINS = 10
ROWS_A_BIN = 20  # expected in the smaller sample; far fewer and chi-squared is no approximation
OFTEN = 20  # rows of each value, on average: else that a number is new is nothing new
MARGIN = 0.1  # of the reference's range, on both sides of it
GONE = 0.1  # of what the reference would let expect of a value, so little counts as none


class Side(NamedTuple):
    """Rows of a sample by value, in the order of the values, and rows where it is missing."""

    counts: NDArray[np.int64]
    missing: int

    @property
    def rows(self) -> int:
        """How many rows the sample has."""
        return int(self.counts.sum()) + self.missing


class Column:
    """A column of a reference and of a current sample, encoded once and counted often."""

    def __init__(self, reference: Any, current: Any, numeric: bool) -> None:
        import pandas as pd

        both = pd.concat([pd.Series(reference), pd.Series(current)], ignore_index=True)
        both = both.astype("float64") if numeric else both.astype(object).map(str, "ignore")
        codes, values = pd.factorize(both, sort=True)
        self.values = np.asarray(values)
        self.numbers = self.values if numeric else None
        self._reference, self._current = np.split(codes, [len(reference)])

    def sides(self) -> tuple[Side, Side]:
        """The reference and the current sample."""
        return self._side(self._reference), self._side(self._current)

    def inner(self, rows: NDArray[np.bool_]) -> tuple[Side, Side]:
        """The reference without some rows, and these rows."""
        return self._side(self._reference[~rows]), self._side(self._reference[rows])

    def _side(self, codes: Array) -> Side:
        present = codes[codes >= 0]
        return Side(np.bincount(present, minlength=len(self.values)), len(codes) - len(present))


def measure(reference: Side, current: Side, values: Array | None) -> dict[Statistic, float]:
    """What sets the current sample apart, each statistic from 0 (nothing) to 1.

    `values` are the distinct ones of a numeric column, None of a categorical one. The shares of the
    current rows, above what the reference lets expect, that are `missing`, that hold an `unseen`
    value, that lie `outside` the reference's range, and that are `stuck` at one value (1 when all
    are); the share of the reference's rows with a category that has `vanished`, the largest one;
    and the Jensen-Shannon `distance` of the two binned distributions.
    """
    share, now = reference.counts / reference.rows, current.counts / current.rows
    beyond = outside(reference, values)
    top = float((now - share).max(initial=0.0))
    expected = unseen_mass(reference)
    if values is None:  # rare categories are missing in the reference, see `max_categories`
        expected += max(0.0, reference.missing / reference.rows - current.missing / current.rows)
    return {
        "missing": current.missing / current.rows - reference.missing / reference.rows,
        "unseen": float(now[novel(reference, values)].sum()) - expected,
        "outside": float(now[beyond].sum()),
        "stuck": 1.0 if constant(current) and not constant(reference) else top,
        "vanished": float(share[vanished(reference, current, values)].max(initial=0.0)),
        "distance": jensen_shannon(*binned(reference, current, values)),
    }


def chance(
    reference: Side, current: Side, values: Array | None, alpha: float
) -> dict[Statistic, float]:
    """What chance alone exceeds with a probability of about alpha, by statistic.

    Normal bounds for shares; for the distance the chi-squared limit of the divergence, which is an
    eighth of the two histograms' chi-squared distance (Lin 1991).
    """
    n, m = reference.rows, current.rows
    z, both = NormalDist().inv_cdf(1 - alpha), 1 / n + 1 / m
    once, twice = (int((reference.counts == times).sum()) for times in (1, 2))
    missing = (reference.missing + current.missing) / (n + m)
    top = max(reference.counts.max(initial=0) / n, current.counts.max(initial=0) / m)
    always = (reference.counts.max(initial=0) / n) ** m  # that one value alone is drawn
    bins = int(np.any(binned(reference, current, values), axis=0).sum())
    new = unseen_mass(reference)
    return {
        "missing": z * math.sqrt(missing * (1 - missing) * both),
        "unseen": z * math.sqrt(new * (1 - new) / m + (once + 2 * twice) / n**2),  # Robbins 1968
        "outside": -math.log(alpha) * both,
        "stuck": 1.0 if always > alpha else z * math.sqrt(top * (1 - top) * both),
        "vanished": -math.log(alpha) / m,
        "distance": math.sqrt(both / 8 * chi_squared(alpha, bins - 1) / math.log(2)),
    }


def _edges(reference: Side) -> tuple[int, int]:
    """The places of the reference's first and last value."""
    there = np.flatnonzero(reference.counts)
    return (int(there[0]), int(there[-1])) if len(there) else (0, -1)


def outside(reference: Side, values: Array | None) -> NDArray[np.bool_]:
    """Which numbers lie beyond the reference's range and a margin on both sides."""
    if values is None or not reference.counts.any():
        return np.zeros(len(reference.counts), dtype=bool)
    low, high = (values[place] for place in _edges(reference))
    margin = MARGIN * (high - low)
    found: NDArray[np.bool_] = (values < low - margin) | (values > high + margin)
    return found


def novel(reference: Side, values: Array | None) -> NDArray[np.bool_]:
    """Which values the reference has not.

    Of numbers only where it has few different ones, and only those between its first and last.
    """
    found: NDArray[np.bool_] = reference.counts == 0
    if values is not None:
        first, last = _edges(reference)
        found[:first] = found[last + 1 :] = False
        if OFTEN * np.count_nonzero(reference.counts) > reference.rows:
            found[:] = False
    return found


def vanished(reference: Side, current: Side, values: Array | None) -> NDArray[np.bool_]:
    """Which categories of the reference are as good as gone."""
    expected = reference.counts / reference.rows * current.rows
    found: NDArray[np.bool_] = (current.counts < GONE * expected) & (values is None)
    return found


def constant(side: Side) -> bool:
    """Whether all rows that have a value have the same."""
    return int((side.counts > 0).sum()) == 1


def unseen_mass(side: Side) -> float:
    """The probability that a further row brings a new value: Good-Turing (Good 1953)."""
    return float((side.counts == 1).sum()) / side.rows


def binned(reference: Side, current: Side, values: Array | None) -> tuple[Array, Array]:
    """Both samples by bin: first the missing ones, then a number's quantiles or the categories.

    Bins that would be all but empty are joined: to fewer quantiles, or rare and unseen categories
    to the missing ones, with which the reference counts the rarest anyway.
    """
    smaller, ours = min(reference.rows, current.rows), reference.counts
    if values is not None:
        bins = max(2, min(BINS, smaller // ROWS_A_BIN))
        middle = (np.cumsum(ours) - ours / 2) / max(1, ours.sum())
        places = 1 + np.minimum(middle * bins, bins - 1).astype(np.int64)
    else:
        frequent = ours * smaller >= ROWS_A_BIN * reference.rows
        places = np.where(frequent, np.cumsum(frequent), 0)
    both = []
    for side in (reference, current):
        found = np.bincount(places, side.counts, int(places.max(initial=0)) + 1)
        found[0] += side.missing
        both.append(found)
    return both[0], both[1]


def jensen_shannon(first: Array, second: Array) -> float:
    """The distance of two histograms over the same bins: 0 the same, 1 nothing in common."""
    p, q = first / max(1, first.sum()), second / max(1, second.sum())
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(x > 0, x * np.log2(x / middle), 0.0).sum() for x in (p, q)]
    return math.sqrt(max(0.0, float(sum(terms)) / 2))


def chi_squared(alpha: float, degrees: int) -> float:
    """What a chi-squared variable exceeds with probability alpha (Wilson and Hilferty 1931)."""
    if degrees < 1:
        return 0.0
    z, part = NormalDist().inv_cdf(1 - alpha), 2 / (9 * degrees)
    return float(degrees * (1 - part + z * math.sqrt(part)) ** 3)
