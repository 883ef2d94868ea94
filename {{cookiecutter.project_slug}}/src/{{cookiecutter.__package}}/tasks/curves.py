"""The curves of an evaluation as tables, and what tasks share in making them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Curves = dict[str, tuple[list[str], Sequence[tuple[object, ...]]]]  # header and rows by file name
POINTS = 200  # of a curve: enough for the eye, small enough for a page


def thin(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `POINTS` of a curve's points, its ends among them."""
    every = list(points)
    kept = np.unique(np.linspace(0, len(every) - 1, POINTS).round().astype(int))
    return [(float(every[i][0]), float(every[i][1])) for i in kept]


def binned(predicted: NDArray[Any], observed: NDArray[Any], bins: int) -> list[tuple[float, float]]:
    """Means of both over bins of about as many rows each, in the order of the predicted."""
    order = np.argsort(predicted, kind="stable")
    parts = (part for part in np.array_split(order, bins) if len(part))
    return [(float(predicted[part].mean()), float(observed[part].mean())) for part in parts]


def counts(
    name: str, actual: NDArray[Any], answered: NDArray[Any], names: Sequence[str]
) -> list[tuple[object, ...]]:
    """Rows of a confusion table: series, actual class, predicted class, number of rows."""
    return [
        (name, actual_name, answered_name, int(((actual == i) & (answered == j)).sum()))
        for i, actual_name in enumerate(names)
        for j, answered_name in enumerate(names)
    ]
