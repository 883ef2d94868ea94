"""The evaluation as one picture, drawn from the files that `dvc plots` shows."""

import csv
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"model": "#1f6feb", "baseline": "#9a9a9a"}
FEW = 12  # classes whose names and counts fit a panel


def draw(plots: Path) -> "Figure":
    """One panel a file: curves, calibration, and the confusion counts."""
    from matplotlib.figure import Figure

    found = sorted(plots.glob("*.csv"), key=lambda path: (path.stem == "confusion", path.stem))
    height = (len(found) + 1) // 2
    figure = Figure(figsize=(10, 4.5 * height), layout="constrained")
    panels = figure.subplots(height, 2, squeeze=False).flat
    for panel, path in zip(panels, found, strict=False):
        draw_one = _confusion if path.stem == "confusion" else _curve
        draw_one(panel, path)
    for panel in panels[len(found) :]:
        panel.set_visible(False)
    return figure


def _curve(panel: Any, path: Path) -> None:
    header, rows = _read(path)
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for label, x, y in rows:
        series[label].append((float(x), float(y)))
    for label, points in series.items():
        marker = "o" if len(points) < 20 else ""
        panel.plot(*zip(*points, strict=True), label=label, color=COLOURS[label], marker=marker)
    if path.stem == "calibration":
        ends = [min(x for x, _ in series["model"]), max(x for x, _ in series["model"])]
        panel.plot(ends, ends, color="#d0d0d0", linestyle=":", label="perfect")
    panel.set(title=path.stem.replace("_", "-"))
    panel.set(xlabel=header[1].replace("_", " "), ylabel=header[2].replace("_", " "))
    panel.grid(alpha=0.3)
    panel.legend()


def _confusion(panel: Any, path: Path) -> None:
    counts = {(a, p): int(n) for series, a, p, n in _read(path)[1] if series == "model"}
    names = list(dict.fromkeys(actual for actual, _ in counts))
    table = [[counts[actual, predicted] for predicted in names] for actual in names]
    panel.imshow(table, cmap="Blues")
    panel.set(title="confusion", xlabel="predicted", ylabel="actual", xticks=[], yticks=[])
    if len(names) > FEW:
        return
    panel.set(xticks=range(len(names)), xticklabels=names)
    panel.set(yticks=range(len(names)), yticklabels=names)
    strongest = max(counts.values())
    for i, row in enumerate(table):
        for j, count in enumerate(row):
            colour = "white" if count > strongest / 2 else "black"
            panel.text(j, i, f"{count:,}", ha="center", va="center", color=colour)


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return header, rows
