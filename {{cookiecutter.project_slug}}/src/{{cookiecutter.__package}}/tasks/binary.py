"""Two classes: the model tells the probability of the last."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import config
from .curves import Curves, counts, thin
from .measures import Measure, defined

Array = NDArray[Any]

HIGHER_IS_BETTER = {"log_loss": False, "brier": False, "roc_auc": True, "average_precision": True}


def predict(pipeline: Any, rows: Any) -> Array:
    """Probabilities of class 1, shape (n,)."""
    found: Array = pipeline.predict_proba(rows)[:, 1]
    return found


def score(labels: Array, predictions: Array) -> dict[str, float]:
    """Metrics of probabilities, shape (n,), against labels 0 and 1, shape (n,).

    Where only one label occurs the two ranking metrics are undefined and left out.
    """
    return defined(MEASURES, labels, predictions)


def log_loss(labels: Array, predictions: Array) -> float:
    """Mean negative logarithm of the probability of what was true."""
    from sklearn.metrics import log_loss

    return float(log_loss(labels, predictions, labels=[0, 1]))


def brier(labels: Array, predictions: Array) -> float:
    """Mean squared difference of probability and label."""
    from sklearn.metrics import brier_score_loss

    return float(brier_score_loss(labels, predictions))


def roc_auc(labels: Array, predictions: Array) -> float:
    """Area under the ROC curve; NaN where only one label occurs."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, predictions)) if np.ptp(labels) else np.nan


def average_precision(labels: Array, predictions: Array) -> float:
    """Mean precision over the recall; NaN where only one label occurs."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, predictions)) if np.ptp(labels) else np.nan


MEASURES: dict[str, Measure] = {
    "log_loss": log_loss,
    "brier": brier,
    "roc_auc": roc_auc,
    "average_precision": average_precision,
}


def reliability(labels: Array, predictions: Array) -> tuple[Array, Array]:
    """The probability of class 1, and whether it was."""
    return predictions, labels


def baseline(labels: Array, classes: int) -> Array:
    """The training rate of class 1."""
    return np.array(labels.mean())


def curves(
    labels: Array, series: Mapping[str, Array], settings: config.Evaluate, names: list[str]
) -> Curves:
    """ROC, precision and recall, calibration, and the confusion at the threshold."""
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import precision_recall_curve, roc_curve

    roc, precision_recall, calibration, confusion = [], [], [], []
    for name, probabilities in series.items():
        false_rate, true_rate, _ = roc_curve(labels, probabilities)
        roc += [(name, *point) for point in thin(zip(false_rate, true_rate, strict=True))]
        precision, recall, _ = precision_recall_curve(labels, probabilities)
        precision[-1] = precision[-2]  # not the made-up precision 1 of an answer to no row
        precision_recall += [(name, *point) for point in thin(zip(recall, precision, strict=True))]
        observed, predicted = calibration_curve(
            labels, probabilities, n_bins=settings.calibration_bins, strategy="quantile"
        )
        calibration += [(name, *point) for point in zip(predicted, observed, strict=True)]
        confusion += counts(name, labels, probabilities >= settings.threshold, names)
    return {
        "roc": (["series", "false_positive_rate", "true_positive_rate"], roc),
        "precision_recall": (["series", "recall", "precision"], precision_recall),
        "calibration": (["series", "predicted", "observed"], calibration),
        "confusion": (["series", "actual", "predicted", "rows"], confusion),
    }
