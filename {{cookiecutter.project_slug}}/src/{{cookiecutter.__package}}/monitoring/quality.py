"""Evidently's report on the answers whose labels have arrived: where they are right, where not."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import config
from ..serving.bundle import Manifest

Array = NDArray[Any]
PAGE = "quality.html"


def report(
    labelled: Sequence[tuple[float, Any]],
    manifest: Manifest,
    folder: Path,
    monitoring: config.Monitoring,
    seed: int,
) -> str:
    """Write quality.html into a folder, on a sample of the pairs of label and prediction.

    Labels and predictions are those that `tasks` scores, the oldest first. Returns the page's path
    below the folder's parent; empty when there is none, for the pairs are too few or Evidently
    cannot judge by them: it needs both of two classes.
    """
    if len(labelled) < monitoring.min_rows:
        return ""
    places = np.arange(len(labelled))
    if len(places) > monitoring.sample_rows:
        random = np.random.default_rng(seed)
        places = np.sort(random.choice(places, monitoring.sample_rows, replace=False))
    labels, predictions = (np.array(side)[places] for side in zip(*labelled, strict=True))
    try:
        _write(labels, predictions, manifest, folder / PAGE)
    except Exception as error:  # nor does it always say so: what was seen is told all the same
        print(f"no report on the labelled answers, Evidently says: {error}")
        return ""
    return f"{folder.name}/{PAGE}"


def _write(labels: Array, predictions: Array, manifest: Manifest, path: Path) -> None:
    os.environ.setdefault("DO_NOT_TRACK", "true")
    import pandas as pd
    from evidently import Dataset, Report

    # Evidently looks for the name of the prediction among the classes: no class is called so.
    target, predicted = manifest.target, f"predicted {manifest.target}"
    names = np.array([str(one) for one in manifest.classes or ()], dtype=object)
    if manifest.classes is not None:
        labels = names[labels.astype(np.int64)]
    if predictions.ndim == 2:
        predictions = names[predictions.argmax(axis=1)]
    definition, metrics = _asked(manifest, target, predicted)
    table = pd.DataFrame({target: labels, predicted: predictions})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are never answered or never true
        snapshot = Report(metrics).run(Dataset.from_pandas(table, definition))
    path.parent.mkdir(parents=True, exist_ok=True)
    snapshot.save_html(str(path))


def _asked(manifest: Manifest, target: str, predicted: str) -> tuple[Any, list[Any]]:
    """What the columns mean to Evidently, and its metrics for them."""
    from evidently import (
        BinaryClassification,
        DataDefinition,
        MulticlassClassification,
        Regression,
    )
    from evidently.metrics import MAE, RMSE, AbsMaxError, MeanError, R2Score
    from evidently.presets import ClassificationPreset

    if manifest.classes is None:
        number = Regression(target=target, prediction=predicted)
        # Not RegressionPreset: its percentages are wrong where a true number is below zero.
        metrics = [MeanError(), MAE(error_distr=False), RMSE(), R2Score(), AbsMaxError()]
        return DataDefinition(regression=[number]), metrics
    if manifest.task == "binary":
        positive = str(manifest.classes[-1])
        two = BinaryClassification(target=target, prediction_probas=predicted, pos_label=positive)
        preset = ClassificationPreset(probas_threshold=manifest.threshold)
        return DataDefinition(classification=[two]), [preset]
    several = MulticlassClassification(target=target, prediction_labels=predicted)
    return DataDefinition(classification=[several]), [ClassificationPreset()]
