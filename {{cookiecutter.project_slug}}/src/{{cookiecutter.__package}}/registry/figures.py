"""The evaluation as one picture, drawn from the files that `dvc plots` shows."""

import csv
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"model": "#1f6feb", "baseline": "#9a9a9a"}


def draw(plots: Path) -> "Figure":
    """ROC, precision-recall and calibration curves and the confusion counts."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 9), layout="constrained")
    axes = figure.subplots(2, 2)
    panels = ("roc", "precision_recall", "calibration")
    for panel, name in zip(axes.flat, panels, strict=False):
        header, rows = _read(plots / f"{name}.csv")
        series: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for label, x, y in rows:
            series[label].append((float(x), float(y)))
        for label, points in series.items():
            marker = "o" if len(points) < 20 else ""
            panel.plot(*zip(*points, strict=True), label=label, color=COLOURS[label], marker=marker)
        if name == "calibration":
            panel.plot([0, 1], [0, 1], color="#d0d0d0", linestyle=":", label="perfect")
        panel.set(title=name.replace("_", "-"), xlim=(0, 1), ylim=(0, 1.01))
        panel.set(xlabel=header[1].replace("_", " "), ylabel=header[2].replace("_", " "))
        panel.grid(alpha=0.3)
        panel.legend()
    _confusion(axes[1][1], plots / "confusion.csv")
    return figure


def _confusion(panel: Any, path: Path) -> None:
    counts = [[0, 0], [0, 0]]
    for series, *row in _read(path)[1]:
        if series == "model":
            actual, predicted, rows = map(int, row)
            counts[actual][predicted] = rows
    panel.imshow(counts, cmap="Blues")
    strongest = max(map(max, counts))
    for actual in (0, 1):
        for predicted in (0, 1):
            count = counts[actual][predicted]
            colour = "white" if count > strongest / 2 else "black"
            panel.text(predicted, actual, f"{count:,}", ha="center", va="center", color=colour)
    panel.set(title="confusion", xlabel="predicted", ylabel="actual", xticks=[0, 1], yticks=[0, 1])


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return header, rows
