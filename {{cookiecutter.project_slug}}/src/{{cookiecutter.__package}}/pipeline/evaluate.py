"""Stage 6: what the model is worth on the holdout, beside a baseline that knows only the rate."""

import csv
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .. import config, files, paths, scores, table
from ..cli import run

POINTS = 200  # of a curve: enough for the eye, small enough for a page


def segment_scores(
    values: Sequence[str | None], labels: NDArray[np.int64], probabilities: scores.Floats
) -> list[dict[str, float | str]]:
    """Rows, rate and metrics for each value of a segment column, the most frequent first."""
    named = np.array(["(missing)" if value is None else value for value in values])
    found, counts = np.unique(named, return_counts=True)
    return [
        {
            "value": str(value),
            "rows": int(count),
            "rate": float(labels[named == value].mean()),
            "mean_probability": float(probabilities[named == value].mean()),
            **scores.score(labels[named == value], probabilities[named == value]),
        }
        for value, count in sorted(zip(found, counts, strict=True), key=lambda pair: -pair[1])
    ]


def curves(
    labels: NDArray[np.int64], series: dict[str, scores.Floats], evaluate: config.Evaluate
) -> dict[str, tuple[list[str], Sequence[tuple[object, ...]]]]:
    """The plotted curves by file name, as header and rows; one series a key of `series`."""
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import precision_recall_curve, roc_curve

    roc, precision_recall, calibration, confusion = [], [], [], []
    for name, probabilities in series.items():
        false_rate, true_rate, _ = roc_curve(labels, probabilities)
        roc += [(name, *point) for point in _thin(zip(false_rate, true_rate, strict=True))]
        precision, recall, _ = precision_recall_curve(labels, probabilities)
        precision[-1] = precision[-2]  # not the made-up precision 1 of an answer to no row
        precision_recall += [(name, *point) for point in _thin(zip(recall, precision, strict=True))]
        observed, predicted = calibration_curve(
            labels, probabilities, n_bins=evaluate.calibration_bins, strategy="quantile"
        )
        calibration += [(name, *point) for point in zip(predicted, observed, strict=True)]
        answers = (probabilities >= evaluate.threshold).astype(int)
        confusion += [
            (name, actual, answer, int(((labels == actual) & (answers == answer)).sum()))
            for actual in (0, 1)
            for answer in (0, 1)
        ]
    return {
        "roc": (["series", "false_positive_rate", "true_positive_rate"], roc),
        "precision_recall": (["series", "recall", "precision"], precision_recall),
        "calibration": (["series", "predicted", "observed"], calibration),
        "confusion": (["series", "actual", "predicted", "rows"], confusion),
    }


def _thin(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    every = list(points)
    kept = np.unique(np.linspace(0, len(every) - 1, POINTS).round().astype(int))
    return [(float(every[i][0]), float(every[i][1])) for i in kept]


def main() -> None:
    """Write metrics, scores by segment and curves."""
    import joblib

    roles = config.read("data.roles", config.Roles)
    columns = list(table.inputs(paths.HOLDOUT, roles))
    evaluate = config.read("evaluate", config.Evaluate)
    holdout = table.frame(paths.HOLDOUT, [*columns, roles.target])
    labels = holdout[roles.target].to_numpy(np.int64)
    probabilities = joblib.load(paths.MODEL).predict_proba(holdout[columns])[:, 1]
    ((rate,),) = table.rows(
        f"SELECT avg({table.quoted(roles.target)}) FROM read_parquet(?)", paths.TRAIN.as_posix()
    )
    baseline = np.full(len(labels), rate)
    files.write_json(
        paths.METRICS,
        {
            "rows": len(labels),
            "rate": float(labels.mean()),
            "model": scores.score(labels, probabilities),
            "baseline": scores.score(labels, baseline),
        },
    )
    segments = table.columns(paths.HOLDOUT, config.read("data.segments", list[str]))
    by_segment = [
        {"segment": name, **row}
        for name, values in segments.items()
        for row in segment_scores(values, labels, probabilities)
    ]
    with files.replacing(paths.SEGMENTS) as aside, aside.open("w", newline="") as file:
        fields = ["segment", "value", "rows", "rate", "mean_probability", *scores.HIGHER_IS_BETTER]
        writer = csv.DictWriter(file, fields, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(by_segment)
    for name, (header, points) in curves(
        labels, {"model": probabilities, "baseline": baseline}, evaluate
    ).items():
        with files.replacing(paths.PLOTS / f"{name}.csv") as aside, aside.open("w") as file:
            curve = csv.writer(file, lineterminator="\n")
            curve.writerow(header)
            curve.writerows(points)
    print(paths.METRICS.read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    run(main)
