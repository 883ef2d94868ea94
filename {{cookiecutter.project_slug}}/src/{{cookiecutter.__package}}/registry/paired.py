"""How sure a gain is: two models' answers to the same rows, resampled together."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Gain = Callable[[Array, Array, Array], float]  # of labels, challenger's answers and champion's

RESAMPLES = 200
ROWS = 10_000  # of a resample, at most


class Interval(msgspec.Struct, frozen=True):
    """A gain, and between which ends it lies with this confidence."""

    gain: float
    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        return f"{self.confidence:.0%} interval {self.low:+.4f} to {self.high:+.4f}"


@dataclass(frozen=True)
class Pair:
    """The labels of n rows, and what challenger and champion answer to these; see `tasks.Kind`.

    Rows of one value of `groups`, shape (n,), are drawn together or not at all.
    """

    labels: Array
    challenger: Array
    champion: Array
    groups: Array | None = None

    def of(self, rows: Array) -> "Pair":
        """Some of the rows, by their numbers or a mask."""
        groups = None if self.groups is None else self.groups[rows]
        return Pair(self.labels[rows], self.challenger[rows], self.champion[rows], groups)

    def gain(self, gain: Gain) -> float:
        """The gain on all rows."""
        return gain(self.labels, self.challenger, self.champion)

    def interval(self, gain: Gain, confidence: float, seed: int) -> Interval | None:
        """Percentile interval of the paired bootstrap (Efron and Tibshirani, 1993).

        Of many rows each resample draws only `ROWS`, and its spread is scaled to all of them (the
        m out of n bootstrap: Bickel, Götze and van Zwet, 1997). None when there is one row or
        group only, or most resamples leave the metric undefined.
        """
        members = self._members()
        units = len(self.labels) if members is None else len(members)
        if units < 2:
            return None
        drawn = max(2, min(units, units * ROWS // len(self.labels)))
        random, found = np.random.default_rng(seed), []
        for _ in range(RESAMPLES):
            rows = random.integers(units, size=drawn)
            if members is not None:
                rows = np.concatenate([members[unit] for unit in rows])
            found.append(self.of(rows).gain(gain))
        kept = np.array(found)[np.isfinite(found)]
        if len(kept) < RESAMPLES / 2:
            return None
        centre, scale = self.gain(gain), math.sqrt(drawn / units)
        tail = (1 - confidence) / 2
        low, high = (float(x) for x in np.quantile(kept, [tail, 1 - tail]))
        return Interval(
            centre, centre + scale * (low - centre), centre + scale * (high - centre), confidence
        )

    def _members(self) -> list[Array] | None:
        """The numbers of each group's rows."""
        if self.groups is None:
            return None
        _, codes, counts = np.unique(self.groups, return_inverse=True, return_counts=True)
        return np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
