"""Three classes or more: the model tells the probability of each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import config
from .curves import Curves, binned, counts, thin

Array = NDArray[Any]

HIGHER_IS_BETTER = {"log_loss": False, "brier": False, "accuracy": True, "macro_f1": True}


def predict(pipeline: Any, rows: Any) -> Array:
    """Probabilities of the classes, shape (n, classes)."""
    found: Array = pipeline.predict_proba(rows)
    return found


def score(labels: Array, predictions: Array) -> dict[str, float]:
    """Metrics of probabilities, shape (n, classes), against codes of classes, shape (n,).

    The F1 score is the mean over the classes that occur among labels or answers.
    """
    from sklearn.metrics import f1_score, log_loss

    codes = np.arange(predictions.shape[1])
    answers = predictions.argmax(axis=1)
    hits = labels[:, None] == codes
    return {
        "log_loss": float(log_loss(labels, predictions, labels=codes)),
        "brier": float(
            ((predictions - hits) ** 2).sum(axis=1).mean()
        ),  # of all classes: Brier 1950
        "accuracy": float((answers == labels).mean()),
        "macro_f1": float(f1_score(labels, answers, average="macro", zero_division=0)),
    }


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
        answers, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
        right = (answers == labels).astype(float)
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
