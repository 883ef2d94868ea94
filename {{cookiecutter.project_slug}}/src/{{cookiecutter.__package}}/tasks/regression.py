"""A number: the model tells it, and a range that holds most true values."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import config
from .curves import Curves, binned, thin
from .measures import Measure, defined

Array = NDArray[Any]

HIGHER_IS_BETTER = {"rmse": False, "mae": False, "r2": True}


def predict(pipeline: Any, rows: Any) -> Array:
    """Numbers, shape (n,)."""
    found: Array = pipeline.predict(rows)
    return found


def score(labels: Array, predictions: Array) -> dict[str, float]:
    """Metrics of numbers, shape (n,), in the target's unit or without.

    R2 is undefined and left out where the labels do not vary.
    """
    return defined(MEASURES, labels, predictions)


def rmse(labels: Array, predictions: Array) -> float:
    """Root of the mean squared error."""
    return math.sqrt(float(((labels - predictions) ** 2).mean()))


def mae(labels: Array, predictions: Array) -> float:
    """Mean size of an error."""
    return float(np.abs(labels - predictions).mean())


def r2(labels: Array, predictions: Array) -> float:
    """Share of the labels' variance that is explained; NaN where they do not vary."""
    spread = float(((labels - labels.mean()) ** 2).sum())
    return 1 - float(((labels - predictions) ** 2).sum()) / spread if spread else math.nan


MEASURES: dict[str, Measure] = {"rmse": rmse, "mae": mae, "r2": r2}


def reliability(labels: Array, predictions: Array) -> tuple[Array, Array]:
    """Prediction and true number, in standard deviations of the true ones."""
    unit = float(labels.std()) or 1.0
    return predictions / unit, labels / unit


def baseline(labels: Array, classes: int) -> Array:
    """The training mean."""
    return np.array(labels.mean())


def half_width(labels: Array, predictions: Array, share: float) -> float | None:
    """How far on both sides of a prediction reaches the interval that holds this share of rows.

    Split conformal prediction (Papadopoulos et al., ECML 2002; Lei et al., JASA 2018): the errors
    on rows that the model has not learnt from are what the next row's error is drawn from. None
    when they are too few.
    """
    errors = np.sort(np.abs(labels - predictions))
    rank = math.ceil((len(errors) + 1) * share)
    return float(errors[rank - 1]) if rank <= len(errors) else None


def curves(
    labels: Array, series: Mapping[str, Array], settings: config.Evaluate, names: list[str]
) -> Curves:
    """Share of rows by size of error, and the true mean by predicted one.

    The first is the regression error characteristic curve (Bi and Bennett, ICML 2003).
    """
    errors: list[tuple[object, ...]] = []
    calibration: list[tuple[object, ...]] = []
    for name, predictions in series.items():
        size = np.sort(np.abs(labels - predictions))
        share = np.arange(1, len(size) + 1) / len(size)
        errors += [(name, *point) for point in thin(zip(size, share, strict=True))]
        calibration += [
            (name, *point) for point in binned(predictions, labels, settings.calibration_bins)
        ]
    return {
        "errors": (["series", "error", "share_of_rows"], errors),
        "calibration": (["series", "predicted", "observed"], calibration),
    }
