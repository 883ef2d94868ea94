"""The model card: what a release is, what it is worth, where it fails and how to make it again."""

import csv
from collections.abc import Sequence
from typing import Any

from .. import config, files, paths
from ..serving.bundle import Manifest
from .gate import Verdict
from .lineage import Lineage

CALIBRATION: dict[config.Task, str] = {
    "binary": "Of the rows with about this predicted probability, so many had the label {last}.",
    "multiclass": "Of the rows answered with about this probability, so many were right.",
    "regression": "Of the rows with about this prediction, the mean {target} was this.",
}


def render(
    name: str, data: config.Data, manifest: Manifest, lineage: Lineage, verdict: Verdict
) -> str:
    """The card as Markdown."""
    commit, _, changed = lineage.git_commit.partition("+")
    metrics = files.read_json(paths.METRICS)
    baseline = metrics["baseline"]
    with paths.SEGMENTS.open(newline="", encoding="utf-8") as file:
        segments = list(csv.DictReader(file))
    with (paths.PLOTS / "calibration.csv").open(newline="", encoding="utf-8") as file:
        calibration = [row for row in csv.DictReader(file) if row["series"] == "model"]
    rows = [
        (metric, *("-" if x is None else number(x) for x in (value, baseline.get(metric))))
        for metric, value in metrics["model"].items()
    ]
    parts = [
        f"# {name}",
        f"Fingerprint `{lineage.fingerprint[:16]}`. {data.intended_use}",
        "## What it was made from",
        f"- {_sides(manifest)}.\n"
        f"- DVC hash of the data: `{lineage.data_md5}`.\n"
        f"- Model: {lineage.parameters['model']['estimator']['_target_']}.\n"
        f"- Code: git commit `{commit}`{', with changes not committed' if changed else ''}.",
        "## What it is worth",
        f"{metrics['rows']:,} labelled rows of {span(manifest.judged_on)}, never seen in training."
        f" {_labels(metrics, manifest)}",
        table(("metric", "model", "baseline"), rows),
        f"Gate: {verdict.reason} (rule `{verdict.rule}`).",
        "### Calibration",
        CALIBRATION[data.task].format(target=data.roles.target, last=(data.classes or [""])[-1]),
        table(
            ("predicted", "observed"),
            [
                tuple(_figure(name, row[name], data.task) for name in ("predicted", "observed"))
                for row in calibration
            ],
        ),
    ]
    for segment in data.segments:
        parts += [f"### By {segment}", _segment(segment, segments, data.task)]
    parts += ["## Limits", "\n".join(f"- {limit}" for limit in data.limits)]
    parts += [
        "## How to make it again",
        f"```sh\ngit checkout {commit}\ndvc pull\ndvc repro\n```",
        f"The model's MD5 is then `{lineage.model_md5}`"
        f"{', once the changes that were not committed are made again' if changed else ''}.",
    ]
    return "\n\n".join(parts) + "\n"


def span(partitions: Sequence[str]) -> str:
    """The first and the last of some partitions."""
    return partitions[0] if len(partitions) == 1 else f"{partitions[0]} to {partitions[-1]}"


def _sides(manifest: Manifest) -> str:
    trained, judged = span(manifest.trained_on), span(manifest.judged_on)
    if (held := manifest.held_out) is None:
        return f"Trained on {trained}, judged on {judged}"
    rows = f"values of {held.group}" if held.group else "rows"
    return f"Trained on {1 - held.share:.0%} of the {rows} in {trained}, judged on the others"


def _labels(metrics: dict[str, Any], manifest: Manifest) -> str:
    if manifest.task == "regression":
        mean = "The baseline always answers the training mean."
        if manifest.half_width is None:
            return f"{mean} The rows are too few for an interval."
        share = config.read("evaluate", config.Evaluate).interval
        reach = f"within {number(manifest.half_width)} of the answer"
        return f"{mean} {share:.0%} of the true values lie {reach}."
    shares = ", ".join(f"{name}: {share:.1%}" for name, share in metrics["rates"].items())
    return f"Labels: {shares}. The baseline always answers the training rates."


def _segment(segment: str, rows: list[dict[str, str]], task: str) -> str:
    names = [name for name in rows[0] if name not in ("segment", "value")]
    return table(
        (segment, *(name.replace("_", " ") for name in names)),
        [
            (row["value"], *(_figure(name, row[name], task) for name in names))
            for row in rows
            if row["segment"] == segment
        ],
    )


def _figure(name: str, value: str, task: str) -> str:
    if not value:
        return "-"
    if name == "rows":
        return f"{int(value):,}"
    if name in ("predicted", "observed", "mean_label", "mean_prediction") and task != "regression":
        return f"{float(value):.1%}"
    return number(float(value))


def number(value: float) -> str:
    """Four decimals, or as many digits as a large number needs."""
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.0f}"


def table(header: tuple[str, ...], rows: list[Any]) -> str:
    """A Markdown table, its first column to the left."""
    rule = ("---",) + ("---:",) * (len(header) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))
