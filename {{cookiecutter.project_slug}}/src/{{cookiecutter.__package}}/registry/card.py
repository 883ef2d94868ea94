"""The model card: what a release is, what it is worth, where it fails and how to make it again."""

import csv
from typing import Any

from .. import config, files, paths
from ..serving.bundle import Manifest
from .gate import Verdict
from .lineage import Lineage


def render(
    name: str, data: config.Data, manifest: Manifest, lineage: Lineage, verdict: Verdict
) -> str:
    """The card as Markdown."""
    commit, _, changed = lineage.git_commit.partition("+")
    metrics = files.read_json(paths.METRICS)
    with paths.SEGMENTS.open(newline="", encoding="utf-8") as file:
        segments = list(csv.DictReader(file))
    with (paths.PLOTS / "calibration.csv").open(newline="", encoding="utf-8") as file:
        calibration = [row for row in csv.DictReader(file) if row["series"] == "model"]
    rows = [
        (metric, f"{value:.4f}", f"{metrics['baseline'][metric]:.4f}")
        for metric, value in metrics["model"].items()
    ]
    parts = [
        f"# {name}",
        f"Fingerprint `{lineage.fingerprint[:16]}`. {data.intended_use}",
        "## What it was made from",
        f"- Trained on {span(manifest.trained_on)}, judged on {span(manifest.judged_on)}.\n"
        f"- DVC hash of the data: `{lineage.data_md5}`.\n"
        f"- Model: {lineage.parameters['model']['estimator']['_target_']}.\n"
        f"- Code: git commit `{commit}`{', with changes not committed' if changed else ''}.",
        "## What it is worth",
        f"{metrics['rows']:,} labelled rows of {span(manifest.judged_on)}, never seen in training; "
        f"{metrics['rate']:.1%} have label 1. The baseline always answers the training rate.",
        _table(("metric", "model", "baseline"), rows),
        f"Gate: {verdict.reason} (rule `{verdict.rule}`).",
        "### Calibration",
        "Of the rows with about this predicted probability, so many had label 1.",
        _table(
            ("predicted", "observed"),
            [(f"{float(r['predicted']):.1%}", f"{float(r['observed']):.1%}") for r in calibration],
        ),
    ]
    for segment in data.segments:
        parts += [f"### By {segment}", _segment(segment, segments)]
    parts += ["## Limits", "\n".join(f"- {limit}" for limit in data.limits)]
    parts += [
        "## How to make it again",
        f"```sh\ngit checkout {commit}\ndvc pull\ndvc repro\n```",
        f"The model's MD5 is then `{lineage.model_md5}`"
        f"{', once the changes that were not committed are made again' if changed else ''}.",
    ]
    return "\n\n".join(parts) + "\n"


def span(partitions: list[str]) -> str:
    """The first and the last of some partitions."""
    return partitions[0] if len(partitions) == 1 else f"{partitions[0]} to {partitions[-1]}"


def _segment(segment: str, rows: list[dict[str, str]]) -> str:
    names = ("rows", "rate", "mean_probability", "log_loss", "roc_auc")
    return _table(
        (segment, *(name.replace("_", " ") for name in names)),
        [
            (row["value"], *(_figure(name, row[name]) for name in names))
            for row in rows
            if row["segment"] == segment
        ],
    )


def _figure(name: str, value: str) -> str:
    if not value:
        return "-"
    if name == "rows":
        return f"{int(value):,}"
    return f"{float(value):.1%}" if name in ("rate", "mean_probability") else f"{float(value):.4f}"


def _table(header: tuple[str, ...], rows: list[Any]) -> str:
    rule = ("---",) + ("---:",) * (len(header) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))
