"""The decisions as a table to read in a terminal: what, why, and where to change it."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from .decide import METRICS
from .plan import Plan
from .yaml_text import key

WIDTH = 100
SHOWN = 60  # columns; of a wider table only those left out and the first inputs are listed


def lines(plan: Plan, texts: dict[Path, str | None]) -> list[str]:
    """All that was decided, at most `WIDTH` characters wide."""
    data = Path(f"conf/data/{plan.name}.yaml")
    metric, guard = METRICS[plan.target.task]
    by_time = plan.split.holdout_partitions is not None
    split = "by_partition" if by_time else "by_hash"
    made = "row_id" in plan.settings
    decisions = [
        ("task", plan.target.task, plan.target.why, _place(texts, data, "task:")),
        ("target", plan.target.name, _labelled(plan), _place(texts, data, "  target:")),
        ("key", plan.key, "made up" if made else "names each row", _place(texts, data, "  key:")),
        ("time", plan.time or "-", plan.time_why, _place(texts, data, "  time:")),
        ("group", plan.group or "-", "rows that belong together", _place(texts, data, "  group:")),
        ("split", split, plan.split.why, _place(texts, Path("conf/config.yaml"), "  - split:")),
        (
            "gate",
            f"{metric}, {guard}",
            "must beat a baseline that knows only the labels by 2%",
            _place(texts, Path("conf/gate/default.yaml"), "metric:"),
        ),
    ]
    rows = [
        (name, role.type, role.why, _place(texts, data, f"  {key(name)}:"))
        for name, role in plan.roles.items()
    ]
    heading = f"{plan.name}: {plan.rows:,} rows, {len(plan.table.columns):,} columns"
    found = [heading, "", *_table(("decision", "is", "because", "line"), decisions), ""]
    shown = [row for row in rows if row[1] not in ("numeric", "categorical")]
    inputs = [row for row in rows if row not in shown]
    room = max(20, SHOWN - len(shown))
    found += _table(("column", "role", "because", "line"), [*inputs[:room], *shown[:SHOWN]])
    hidden = len(inputs[room:]) + len(shown[SHOWN:])
    if hidden:
        found.append(f"... and {hidden:,} more in {data}")
    leaks = [row[0] for row in rows if row[1] == "leaking"]
    if leaks:
        found += ["", *_wrapped(f"suspected of knowing the answer, left out: {', '.join(leaks)}")]
        found.append("  to take one in: set its `type` to numeric or categorical, on its line")
    return [*found, "", f"lines are of {data}, where no other file is named"]


def _labelled(plan: Plan) -> str:
    share = plan.target.unlabelled
    return f"missing in {share:.1%} of the rows" if share else "known for every row"


def _place(texts: dict[Path, str | None], path: Path, begins: str) -> str:
    text = texts.get(path) or path.read_text(encoding="utf-8")
    found = (n for n, line in enumerate(text.splitlines(), 1) if line.startswith(begins))
    short = "" if path.parent.name == "data" else f"{path.relative_to('conf')}"
    return f"{short}:{next(found, 1)}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns; the third takes what room there is, and goes on below."""
    every = [header, *rows]
    widths = [min(28, max(len(row[n]) for row in every)) for n in range(4)]
    widths[2] = max(20, WIDTH - widths[0] - widths[1] - widths[3] - 6)
    found = []
    for row in every:
        cells = [_cut(row[0], widths[0]), _cut(row[1], widths[1]), "", _cut(row[3], widths[3])]
        for number, part in enumerate(_wrapped(row[2], widths[2])):
            cells[2] = part
            line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            found.append(line.rstrip())
            if number == 0:
                cells = ["", "", "", ""]
    return found


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _wrapped(text: str, width: int = WIDTH) -> list[str]:
    return wrap(text, width, break_on_hyphens=False) or [""]
