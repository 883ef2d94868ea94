"""What is written into conf/: short files with the reasons beside the choices."""

import re
from pathlib import Path

from ..cli import Refusal
from . import limits, models
from .decide import METRICS
from .plan import Plan
from .yaml_text import flow, key, listed, scalar

CONF = Path("conf")
HINT = (
    "# Inputs are numeric or categorical: a change of `type` takes a column in, or leaves it out."
)
CALIBRATION = ("calibration", "calibration", "curve", "calibration", "predicted", "observed")
CONFUSION = ("confusion", "confusion", "counts", "confusion", "predicted", "actual")
PLOTS = {
    "binary": [
        ("roc", "ROC", "curve", "roc", "false_positive_rate", "true_positive_rate"),
        (
            "precision-recall",
            "precision and recall",
            "curve",
            "precision_recall",
            "recall",
            "precision",
        ),
        CALIBRATION,
        CONFUSION,
    ],
    "multiclass": [
        (
            "coverage",
            "accuracy by share answered",
            "curve",
            "coverage",
            "share_answered",
            "accuracy",
        ),
        CALIBRATION,
        CONFUSION,
    ],
    "regression": [
        ("errors", "share of rows by error", "curve", "errors", "error", "share_of_rows"),
        CALIBRATION,
    ],
}


def texts(plan: Plan, package: str) -> dict[Path, str | None]:
    """Content by path of every file that the decisions change; None for one that goes."""
    learnt = plan.target
    metric, guard = METRICS[learnt.task]
    choice = "by_hash" if plan.split.holdout_partitions is None else "by_partition"
    linear = "ridge" if learnt.task == "regression" else "logistic_regression"
    found: dict[Path, str | None] = {
        CONF / f"data/{plan.name}.yaml": data(plan, package),
        CONF / "arrived.yaml": arrived(list(plan.partitions)),
        CONF / "config.yaml": replaced(
            CONF / "config.yaml",
            (r"^( *- data: )\S+", plan.name),
            (r"^( *- split: )\S+", choice),
            (r"^( *- model: )\S+", "hist_gradient_boosting"),
        ),
        CONF / "gate/default.yaml": replaced(
            CONF / "gate/default.yaml",
            (r"^(metric: )\S+", metric),
            (r"^(guard_metric: )\S+", guard),
        ),
        Path("dvc.yaml"): plots(learnt.task),
    }
    if plan.split.holdout_partitions is not None:
        path = CONF / "split/by_partition.yaml"
        found[path] = replaced(
            path, (r"^(holdout_partitions: )\d+", str(plan.split.holdout_partitions))
        )
    config = CONF / "config.yaml"
    found[config] = re.sub(r"\b(logistic_regression|ridge)\b", linear, str(found[config]))
    return found | models.texts(CONF / "model", learnt.task, plan.rows)


def data(plan: Plan, package: str) -> str:
    """conf/data/<name>.yaml."""
    learnt, missing = plan.target, limits.missing(plan)
    lines = [
        f"# Predicts {learnt.name}. Written by `make adopt` from {plan.rows:,} rows; "
        "every line is yours to change.",
        f"task: {learnt.task} # {learnt.why}",
    ]
    if learnt.classes is None:
        lines.append("classes: null # a regression has none")
    else:
        told = (
            "the probability told is the last one's"
            if len(learnt.classes) == 2
            else "in this order"
        )
        lines.append(f"classes: {listed(list(learnt.classes))} # values of the target; {told}")
    lines += ["source:", f"  _target_: {package}.sources.{plan.source}"]
    lines += [f"  {name}: {scalar(value)}{_said(name)}" for name, value in plan.settings.items()]
    known = "is made up: the table has none" if "row_id" in plan.settings else "names each row"
    lines += [
        "roles:",
        f"  key: {scalar(plan.key)} # {known}",
        f"  time: {scalar(plan.time)}"
        + (" # orders the rows" if plan.time else " # no column orders the rows"),
        f"  target: {scalar(learnt.name)}",
        f"  group: {scalar(plan.group)} # rows of one are never split between training and holdout",
        f"max_unlabelled: {max(0.1, missing[learnt.name]):g} # share of rows without it, at most",
        f"intended_use: {scalar(_use(plan))}",
        "limits:",
        *(f"  - {scalar(line)}" for line in _limits(plan)),
        f"segments: {listed(segments(plan))} # metrics and model card are broken down by these",
        HINT,
        "columns:",
    ]
    for name, role in plan.roles.items():
        entry: dict[str, object] = {"type": role.type}
        if missing[name]:
            entry["missing"] = missing[name]
        entry |= limits.span(plan, name, role) | {"description": role.why}
        lines.append(f"  {key(name)}: {flow(entry)}")
    return "\n".join(lines) + "\n"


def _said(name: str) -> str:
    said = {"address": " # a file there is a partition; `make arrive` takes a new one in"}
    said["row_id"] = " # name of the column that numbers the rows"
    return said.get(name, "")


def _use(plan: Plan) -> str:
    if plan.target.task == "regression":
        return f"Tells {plan.target.name} before it is known."
    return f"Tells how likely each value of {plan.target.name} is before it is known."


def _limits(plan: Plan) -> list[str]:
    names = sorted(plan.partitions)
    span = f" from {names[0]} to {names[-1]}" if plan.time and len(names) > 1 else ""
    found = [f"Learnt from {plan.rows:,} rows{span} only."]
    leaks = [name for name, role in plan.roles.items() if role.type == "leaking"]
    if leaks:
        found.append(f"Left out as they seem to know the answer: {', '.join(leaks[:10])}.")
    return found


def segments(plan: Plan) -> list[str]:
    """Up to two inputs with few values, which a model card can be broken down by."""
    fit = [
        name
        for name, role in plan.roles.items()
        if role.type == "categorical" and 2 <= plan.table.columns[name].distinct <= 10
    ]
    return sorted(fit, key=lambda name: plan.table.columns[name].missing)[:2]


def arrived(partitions: list[str]) -> str:
    """conf/arrived.yaml."""
    kept = (CONF / "arrived.yaml").read_text(encoding="utf-8").partition("partitions:")[0]
    return kept + "partitions:\n" + "".join(f'  - "{name}"\n' for name in sorted(partitions))


def plots(task: str) -> str:
    """dvc.yaml with the plots of the task's curves."""
    path = Path("dvc.yaml")
    kept, mark, _ = path.read_text(encoding="utf-8").partition("\nplots:\n")
    if not mark:
        raise Refusal("dvc.yaml has no `plots:`, which the task decides about")
    lines = []
    for name, title, template, file, x, y in PLOTS[task]:
        csv = f"reports/plots/{file}.csv"
        lines += [
            f"  - {name}:",
            f"      title: {title}",
            f"      template: {template}",
            f"      x: {flow({csv: x})}",
            f"      y: {flow({csv: y})}",
        ]
    return kept + mark + "\n".join(lines) + "\n"


def replaced(path: Path, *changes: tuple[str, str]) -> str:
    """A file's text with what follows the group of each pattern replaced, once."""
    text = path.read_text(encoding="utf-8")
    for pattern, value in changes:
        found = re.search(pattern, text, re.MULTILINE)
        if not found:
            raise Refusal(f"{path} has no line like `{pattern.strip('^')}`; put it back")
        text = text[: found.end(1)] + value + text[found.end() :]
    return text
