"""What all tasks share in scoring."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

Measure = Callable[[NDArray[Any], NDArray[Any]], float]  # labels and predictions as `Kind` tells


def defined(
    measures: Mapping[str, Measure], labels: NDArray[Any], predictions: NDArray[Any]
) -> dict[str, float]:
    """The metrics that are finite for these labels."""
    found = {name: float(measure(labels, predictions)) for name, measure in measures.items()}
    return {name: value for name, value in found.items() if math.isfinite(value)}
