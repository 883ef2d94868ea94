"""What the pull request of a retraining run says: why, the metrics before and after, the curves.

GitHub draws the curves itself, from Mermaid's `xychart`: pictures would need a place to lie.
"""

import csv
import sys
from pathlib import Path
from typing import Any

from . import dvc, files, paths
from .cli import Refusal, run

POINTS = 21  # of a curve: the axis of a chart has a mark for each


def body(base: str) -> str:
    """The description of what has changed since a commit, as Markdown."""
    entries = files.read_lines(paths.JOURNAL)
    if not entries:
        raise Refusal("there is no run to speak of: run `make retrain` first")
    parts = [_why(entries[-1]), "## Metrics", metrics(base)]
    parts += filter(None, map(chart, sorted(paths.PLOTS.glob("*.csv"))))
    return "\n\n".join(parts) + "\n"


def _why(entry: dict[str, Any]) -> str:
    lines = [f"A retraining run: {'; '.join(entry['reasons'])}."]
    if entry["outcome"] == "proposed":
        lines.append("Nothing was released: merge this, then run `make release`.")
    if decision := entry.get("decision"):
        lines.append(f"The gate: {entry['outcome']}, {decision['reason']}.")
    return "\n".join(lines)


def metrics(base: str) -> str:
    """The table of `dvc metrics diff` between a commit and the workspace."""
    return dvc.output("metrics", "diff", "--md", "--all", base) or "The metrics are the same."


def chart(path: Path) -> str:
    """The model's curve of a file, read at evenly spaced places; empty for a table of counts."""
    with path.open(encoding="utf-8", newline="") as file:
        (_, *columns), *rows = csv.reader(file)
    if len(columns) != 2:
        return ""
    points = sorted((float(x), float(y)) for series, x, y in rows if series == "model")
    first, last = points[0][0], points[-1][0]
    places = [first + (last - first) * step / (POINTS - 1) for step in range(POINTS)]
    heights = [min(points, key=lambda point: abs(point[0] - place))[1] for place in places]
    across, up = (name.replace("_", " ") for name in columns)
    lines = [
        f"## {path.stem.replace('_', ' ')}",
        "",
        "```mermaid",
        "xychart-beta",
        f'    x-axis "{across}" {first:.4g} --> {last:.4g}',
        f'    y-axis "{up}"',
        f"    line [{', '.join(f'{height:.4g}' for height in heights)}]",
        "```",
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the description; the argument is the commit that the run started from."""
    print(body(sys.argv[1]), end="")


if __name__ == "__main__":
    run(main)
