"""What a model is to tell, and how good that is: one module a task, one definition for all users.

The evaluate stage, the gate and the monitor score by the same functions.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import config
from ..cli import Refusal
from ..instantiate import named
from . import binary, multiclass, regression
from .curves import Curves, binned
from .measures import Measure

Array = NDArray[Any]


class Kind(Protocol):
    """What each module of this package offers.

    Labels have the shape (n,): codes of classes, or numbers. Predictions are probabilities of the
    last of two classes, shape (n,), or of each class, shape (n, classes), or numbers, shape (n,).
    """

    HIGHER_IS_BETTER: dict[str, bool]
    MEASURES: dict[str, Measure]

    def predict(self, pipeline: Any, rows: Any) -> Array:
        """What a fitted scikit-learn pipeline predicts for the rows of a DataFrame."""
        ...

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """The metrics that are defined for these labels."""
        ...

    def reliability(self, labels: Array, predictions: Array) -> tuple[Array, Array]:
        """What a calibrated model has alike on average: predicted and observed, shape (n,)."""
        ...

    def baseline(self, labels: Array, classes: int) -> Array:
        """What a model that knows nothing but these training labels tells of one row."""
        ...

    def curves(
        self,
        labels: Array,
        series: Mapping[str, Array],
        settings: config.Evaluate,
        names: list[str],
    ) -> Curves:
        """The plotted curves by file name; one series a key of `series`, `names` of the classes."""
        ...


KINDS: dict[config.Task, Kind] = {
    "binary": binary,
    "multiclass": multiclass,
    "regression": regression,
}


class Task:
    """A task with the project's own metrics beside its standard ones.

    An own metric takes labels and predictions as `Kind` tells them; NaN says that it is undefined.
    """

    def __init__(
        self,
        task: config.Task,
        classes: Sequence[config.Class] | None,
        own: Mapping[str, config.Metric],
    ) -> None:
        self._kind = KINDS[task]
        self._own: dict[str, Measure] = {
            name: named(metric.function, "conf/evaluate/") for name, metric in own.items()
        }
        self.classes = [str(one) for one in classes or ()]
        own_directions = {name: metric.higher_is_better for name, metric in own.items()}
        self.higher_is_better = self._kind.HIGHER_IS_BETTER | own_directions
        self.predict = self._kind.predict
        self.curves = self._kind.curves

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """All metrics, those left out that are undefined for these labels."""
        found = self._kind.score(labels, predictions)
        own = {name: self.measure(name, labels, predictions) for name in self._own}
        return found | {name: value for name, value in own.items() if math.isfinite(value)}

    def measure(self, metric: str, labels: Array, predictions: Array) -> float:
        """One metric; NaN or infinite where it is undefined."""
        if metric not in self._own:
            return self._kind.MEASURES[metric](labels, predictions)
        try:
            return float(self._own[metric](labels, predictions))
        except Exception as error:
            raise Refusal(f"conf/evaluate/: the metric {metric} fails: {error!r}") from None

    def miscalibration(self, labels: Array, predictions: Array, bins: int) -> float:
        """Mean gap of predicted and observed over bins of as many rows each.

        The expected calibration error of Naeini et al. (AAAI 2015), in bins of equal rows: in
        probability, or for numbers in standard deviations of the true ones.
        """
        points = np.array(binned(*self._kind.reliability(labels, predictions), bins))
        return float(np.abs(points[:, 0] - points[:, 1]).mean())

    def baseline(self, labels: Array, rows: int) -> Array:
        """The predictions for so many rows of a model that knows the training labels only."""
        told = self._kind.baseline(labels, len(self.classes))
        return np.broadcast_to(told, (rows, *np.shape(told)))

    def gain(self, metric: str, challenger: float, other: float) -> float:
        """By how much `challenger` is better than `other`; negative when it is worse."""
        return challenger - other if self.higher_is_better[metric] else other - challenger


def of(data: config.Data, evaluate: config.Evaluate) -> Task:
    """The task of a project."""
    return Task(data.task, data.classes, evaluate.metrics)
