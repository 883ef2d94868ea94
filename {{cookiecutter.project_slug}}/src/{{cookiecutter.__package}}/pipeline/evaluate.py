"""Stage 6: what the model is worth on the holdout, beside a baseline that knows only the labels."""

import csv
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import config, files, paths, table, tasks
from ..cli import Refusal, run
from ..tasks.regression import half_width


def named_values(values: Sequence[str | None]) -> NDArray[Any]:
    """The values of a segment column as the reports call them."""
    return np.array(["(missing)" if value is None else str(value) for value in values])


def segment_scores(
    values: Sequence[str | None],
    labels: NDArray[Any],
    predictions: NDArray[Any],
    task: tasks.Task,
) -> list[dict[str, float | str]]:
    """Rows and metrics for each value of a segment column, the most frequent first.

    Where there is one number a row, also the mean of the labels and of the predictions.
    """
    named = named_values(values)
    found, counts = np.unique(named, return_counts=True)
    rows: list[dict[str, float | str]] = []
    for value, count in sorted(zip(found, counts, strict=True), key=lambda pair: -pair[1]):
        here = named == value
        row: dict[str, float | str] = {"value": str(value), "rows": int(count)}
        if predictions.ndim == 1:
            row["mean_label"] = float(labels[here].mean())
            row["mean_prediction"] = float(predictions[here].mean())
        row.update(task.score(labels[here], predictions[here]))
        rows.append(row)
    return rows


def main() -> None:
    """Write metrics, scores by segment and curves."""
    import joblib

    roles = config.read("data.roles", config.Roles)
    kind = config.read("data.task", config.Task)
    classes = config.read("data.classes", list[config.Class] | None)
    evaluate = config.read("evaluate", config.Evaluate)
    task = tasks.Task(kind, classes, evaluate.metrics)
    columns = list(table.inputs())
    holdout = table.frame(paths.HOLDOUT, [*columns, roles.target])
    labels = holdout[roles.target].to_numpy(np.int64 if classes else np.float64)
    if not len(labels):
        raise Refusal("there is no labelled row in the holdout: see conf/split/")
    predictions = task.predict(joblib.load(paths.MODEL), holdout[columns])
    known = np.array(table.columns(paths.TRAIN, [roles.target])[roles.target])
    baseline = task.baseline(known, len(labels))
    metrics: dict[str, Any] = {
        "rows": len(labels),
        "model": task.score(labels, predictions),
        "baseline": task.score(labels, baseline),
    }
    if kind == "regression":
        metrics["half_width"] = half_width(labels, predictions, evaluate.interval)
    else:
        shares = np.bincount(labels, minlength=len(task.classes)) / len(labels)
        metrics["rates"] = dict(zip(task.classes, shares.tolist(), strict=True))
    files.write_json(paths.METRICS, metrics)
    segments = table.columns(paths.HOLDOUT, config.read("data.segments", list[str]))
    by_segment = [
        {"segment": name, **row}
        for name, values in segments.items()
        for row in segment_scores(values, labels, predictions, task)
    ]
    means = ["mean_label", "mean_prediction"] if predictions.ndim == 1 else []
    with files.replacing(paths.SEGMENTS) as aside, aside.open("w", newline="") as file:
        fields = ["segment", "value", "rows", *means, *task.higher_is_better]
        writer = csv.DictWriter(file, fields, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(by_segment)
    series = {"model": predictions, "baseline": baseline}
    for name, (header, points) in task.curves(labels, series, evaluate, task.classes).items():
        with files.replacing(paths.PLOTS / f"{name}.csv") as aside, aside.open("w") as file:
            curve = csv.writer(file, lineterminator="\n")
            curve.writerow(header)
            curve.writerows(points)
    print(paths.METRICS.read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    run(main)
