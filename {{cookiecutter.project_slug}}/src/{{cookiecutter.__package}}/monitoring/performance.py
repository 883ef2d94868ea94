"""Is the model worse than at its release by more than noise? Metrics with an interval."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .. import config

Array = NDArray[Any]
Score = Callable[[Array, Array], Mapping[str, float]]
GROUPS = 30
CONFIDENCE = 0.99  # of the interval's one side that counts


class Performance(msgspec.Struct, frozen=True):
    """One metric of labelled answers: its value, an interval, and what it was at release.

    `worse` when the whole interval is, by more than is tolerated.
    """

    metric: str
    value: float
    low: float
    high: float
    reference: float
    worse: bool


def at_release(metrics: Mapping[str, float], gate: config.Gate) -> dict[str, float]:
    """Of a version's metrics at its release the two that the gate goes by, where it has them."""
    return {name: metrics[name] for name in (gate.metric, gate.guard_metric) if name in metrics}


def judge(
    labels: Array,
    predictions: Array,
    score: Score,
    reference: Mapping[str, float],
    higher_is_better: Mapping[str, bool],
    max_loss: float,
    groups: int = GROUPS,
) -> list[Performance]:
    """Hold each metric of the reference that these labels allow to its value there.

    The rows are in the order of time. `max_loss` is relative to the reference's value; `groups` is
    the number of stretches of time that the intervals are made of, see `margins`.
    """
    found = []
    measured = margins(labels, predictions, score, list(reference), groups)
    for name, (value, error) in measured.items():
        low, high = value - error, value + error
        better = high if higher_is_better[name] else low
        loss = reference[name] - better if higher_is_better[name] else better - reference[name]
        worse = loss > max_loss * abs(reference[name])
        found.append(Performance(name, value, low, high, reference[name], worse))
    return found


def margins(
    labels: Array, predictions: Array, score: Score, names: Sequence[str], groups: int = GROUPS
) -> dict[str, tuple[float, float]]:
    """Metrics by name, each with half the width of its interval; those undefined are left out.

    The jackknife that leaves out one stretch of time after the other (Künsch, Annals of Statistics
    1989): neighbouring rows share their weather, their week, their campaign, so that they tell
    less than as many independent ones.
    """
    groups = min(groups, len(labels))
    whole = score(labels, predictions)
    edges = np.linspace(0, len(labels), groups + 1).astype(int)
    kept = np.ones(len(labels), dtype=bool)
    without = []
    for start, end in pairwise(edges):
        kept[start:end] = False
        without.append(score(labels[kept], predictions[kept]))
        kept[start:end] = True
    wide = student(CONFIDENCE, groups - 1)
    found = {}
    for name in names:
        if name in whole and all(name in one for one in without):
            values = np.array([one[name] for one in without])
            spread = float(((values - values.mean()) ** 2).sum()) * (groups - 1) / groups
            found[name] = (whole[name], wide * math.sqrt(spread))
    return found


def student(confidence: float, degrees: int) -> float:
    """A quantile of Student's distribution (the first terms of Fisher and Cornish 1960)."""
    z = NormalDist().inv_cdf(confidence)
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
