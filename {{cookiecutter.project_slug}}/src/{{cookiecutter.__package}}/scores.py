"""How good probabilities are: one definition for the evaluate stage, the gate and the monitor."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HIGHER_IS_BETTER = {"log_loss": False, "brier": False, "roc_auc": True, "average_precision": True}


def score(labels: NDArray[np.int64], probabilities: Floats) -> dict[str, float]:
    """Metrics of probabilities, shape (n,), against labels 0 and 1, shape (n,).

    Where only one label occurs the two ranking metrics are undefined and left out.
    """
    from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

    metrics: dict[str, Callable[[NDArray[np.int64], Floats], float]] = {
        "log_loss": lambda y, p: log_loss(y, p, labels=[0, 1]),
        "brier": brier_score_loss,
    }
    if len(np.unique(labels)) == 2:
        metrics |= {"roc_auc": roc_auc_score, "average_precision": average_precision_score}
    return {name: float(metric(labels, probabilities)) for name, metric in metrics.items()}


def gain(metric: str, challenger: float, other: float) -> float:
    """By how much `challenger` is better than `other`; negative when it is worse."""
    return challenger - other if HIGHER_IS_BETTER[metric] else other - challenger
