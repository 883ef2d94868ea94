"""Three classes or more: the model tells the probability of each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import config
from .curves import Curves, binned, counts, thin
from .measures import Measure, defined

Array = NDArray[Any]

HIGHER_IS_BETTER = {"log_loss": False, "brier": False, "accuracy": True, "macro_f1": True}


def predict(pipeline: Any, rows: Any) -> Array:
    """Probabilities of the classes, shape (n, classes)."""
    found: Array = pipeline.predict_proba(rows)
    return found


def score(labels: Array, predictions: Array) -> dict[str, float]:
    """Metrics of probabilities, shape (n, classes), against codes of classes, shape (n,)."""
    return defined(MEASURES, labels, predictions)


def log_loss(labels: Array, predictions: Array) -> float:
    """Mean negative logarithm of the probability of what was true."""
    from sklearn.metrics import log_loss

    return float(log_loss(labels, predictions, labels=np.arange(predictions.shape[1])))


def brier(labels: Array, predictions: Array) -> float:
    """Squared differences of probabilities and labels, summed over all classes: Brier 1950."""
    hits = labels[:, None] == np.arange(predictions.shape[1])
    return float(((predictions - hits) ** 2).sum(axis=1).mean())


def accuracy(labels: Array, predictions: Array) -> float:
    """Share of answers that were right."""
    return float((predictions.argmax(axis=1) == labels).mean())


def macro_f1(labels: Array, predictions: Array) -> float:
    """F1 score, the mean over the classes that occur among labels or answers."""
    from sklearn.metrics import f1_score

    answers = predictions.argmax(axis=1)
    return float(f1_score(labels, answers, average="macro", zero_division=0))


MEASURES: dict[str, Measure] = {
    "log_loss": log_loss,
    "brier": brier,
    "accuracy": accuracy,
    "macro_f1": macro_f1,
}


def reliability(labels: Array, predictions: Array) -> tuple[Array, Array]:
    """The probability of the answer, and whether it was right."""
    answers = predictions.argmax(axis=1)
    return predictions.max(axis=1), (answers == labels).astype(float)


def baseline(labels: Array, classes: int) -> Array:
    """The training rate of each class, shape (classes,)."""
    return np.bincount(labels.astype(np.int64), minlength=classes) / len(labels)


def curves(
    labels: Array, series: Mapping[str, Array], settings: config.Evaluate, names: list[str]
) -> Curves:
    """Accuracy by share of rows answered, calibration of the answer, confusion of the classes."""
    coverage: list[tuple[object, ...]] = []
    calibration: list[tuple[object, ...]] = []
    confusion: list[tuple[object, ...]] = []
    for name, probabilities in series.items():
        answers = probabilities.argmax(axis=1)
        sure, right = reliability(labels, probabilities)
        surest_first = right[np.argsort(-sure, kind="stable")]
        answered = np.arange(1, len(labels) + 1)
        points = zip(answered / len(labels), surest_first.cumsum() / answered, strict=True)
        coverage += [(name, *point) for point in thin(points)]
        calibration += [(name, *point) for point in binned(sure, right, settings.calibration_bins)]
        confusion += counts(name, labels, answers, names)
    return {
        "coverage": (["series", "share_answered", "accuracy"], coverage),
        "calibration": (["series", "predicted", "observed"], calibration),
        "confusion": (["series", "actual", "predicted", "rows"], confusion),
    }
