"""The composed configuration, `params.json`, as types: one class for each group of `conf/`."""

import json
import re
from typing import Annotated, Any, Literal, TypeVar, overload

import msgspec

from . import paths
from .cli import Refusal

T = TypeVar("T")
Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class Group(msgspec.Struct, forbid_unknown_fields=True):
    """A group whose unknown keys are refused, so that a misspelt one is noticed."""


Task = Literal["binary", "multiclass", "regression"]
Class = int | str
Kind = Literal["numeric", "categorical"]
INPUTS = ("numeric", "categorical")
METRIC = re.compile("[A-Za-z][A-Za-z0-9_]*")


class Column(Group):
    """One column: an input of the model, or one left out and why.

    `missing` is the largest share of missing values a partition may have; 0 means that the column
    is required, in the data and in every request. `function` makes the column from the ones that
    `of` names, in training and for every request; it has no limits, those it is made of have.
    """

    type: Literal["numeric", "categorical", "text", "date", "identifier", "constant", "leaking"]
    missing: float = 0.0
    min: float | None = None
    max: float | None = None
    description: str = ""
    function: str | None = None
    of: list[str] = []


class Roles(Group):
    """The columns that are not inputs.

    `key` names a row, `time` orders it, `target` is learnt; rows of one `group` are never split
    between training and holdout.
    """

    key: str
    target: str
    time: str | None = None
    group: str | None = None


class Table(Group, kw_only=True):
    """The roles of a table's columns, and the columns.

    `classes` are the target's values in the order of their codes 0, 1, ...; None for a regression.
    """

    roles: Roles
    classes: list[Class] | None
    columns: dict[str, Column]

    @property
    def inputs(self) -> dict[str, Kind]:
        """Name and kind of each input of the model."""
        return {
            name: column.type
            for name, column in self.columns.items()
            if column.type == "numeric" or column.type == "categorical"
        }

    @property
    def asked(self) -> dict[str, Column]:
        """The columns of a request: inputs of the table, and what functions make others of."""
        used = [column for column in self.columns.values() if column.type in INPUTS]
        arguments = {name for column in used for name in column.of}
        found = {
            name: column
            for name, column in self.columns.items()
            if not column.function and (column.type in INPUTS or name in arguments)
        }
        time = self.roles.time
        return found | ({time: Column("date")} if time and time in arguments else {})


class Data(Table, kw_only=True):
    """What the table is: its task and source besides, and the text of the model's card."""

    task: Task
    source: dict[str, Any]
    max_unlabelled: float
    segments: list[str]
    intended_use: str
    limits: list[str]


class Split(Group):
    """Which rows judge: those of the newest partitions, or a share of every partition's.

    Training takes the partitions before them, or all; only the newest `train_partitions` if set.
    Of a categorical column the `max_categories` most frequent values count, others are missing.
    """

    max_categories: Positive
    holdout_partitions: Positive | None = None
    holdout_share: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    train_partitions: Positive | None = None


class Model(Group):
    """The estimator by its import path and arguments, and how columns are encoded for it.

    `study` names the sweep that found the arguments; see conf/tuned/.
    """

    name: str
    encoding: Literal["native_categories", "ordinal", "one_hot"]
    estimator: dict[str, Any]
    study: str | None = None


class Metric(Group):
    """A metric of the project's own: a function of labels and predictions, see `tasks`."""

    function: str
    higher_is_better: bool


class Evaluate(Group):
    """How predictions are read.

    From which probability a binary answer is the last class, how many bins the calibration has,
    what share of the true values a regression's interval should hold, and metrics of one's own.
    """

    threshold: float
    calibration_bins: Positive
    interval: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    metrics: dict[str, Metric] = {}


class Gate(Group):
    """The rules of promotion; see conf/gate/. None turns one off.

    `rules` are functions of the project's own.
    """

    metric: str
    min_skill: float
    min_gain: float
    guard_metric: str
    max_guard_loss: float | None
    confidence: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    max_calibration_loss: NotNegative | None = None
    max_segment_loss: NotNegative | None = None
    segment_rows: Positive = 200
    max_slowdown: Annotated[float, msgspec.Meta(ge=1)] | None = None
    shadow_rows: Positive | None = None
    shadow_days: NotNegative = 60
    rules: list[str] = []


class Sweep(Group):
    """How `make sweep` looks for better settings of the model; see conf/sweep/.

    `n_trials` counts the finished trials of the whole study, `minutes` the time spent on it, also
    by runs that were interrupted. By time a fold weighs `decay` times what the next newer one does.
    `sampler` and `pruner` are made as `instantiate` does.
    """

    metrics: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    n_trials: Positive | None = 50
    minutes: Annotated[float, msgspec.Meta(gt=0)] | None = None
    folds: Annotated[int, msgspec.Meta(ge=2)] = 3
    decay: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    workers: Positive | None = None
    launcher: Literal["local", "ray"] = "local"
    max_failed: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.3
    sampler: dict[str, Any] = msgspec.field(
        default_factory=lambda: {"_target_": "optuna.samplers.TPESampler", "seed": 0}
    )
    pruner: dict[str, Any] | None = None


Seconds = Annotated[float, msgspec.Meta(ge=0.01)]


class Serving(Group):
    """Limits of the prediction service, and what it does when its log cannot be written."""

    max_body_bytes: Positive
    max_rows: Positive
    max_concurrent: Positive
    request_seconds: Seconds
    poll_seconds: Seconds
    log_max_bytes: Positive
    on_log_failure: Literal["fail_closed", "fail_open"]


class Monitoring(Group):
    """When logged traffic counts as drift, and its labels as a worse model."""

    window_days: float
    min_rows: Positive
    sample_rows: Positive
    drift_share: float
    false_alarms: Annotated[float, msgspec.Meta(gt=0, lt=0.5)]
    min_distance: float
    min_share: float
    max_repeated: float
    max_loss: float
    rollback_days: NotNegative | None = None
    keep_pages: Positive = 60


Trigger = Literal["new_data", "drift", "degraded", "schedule", "by_hand"]


class Retrain(Group):
    """What starts a retraining, what limits an unattended one, and what it may do."""

    arrive: Literal["next", "all", "none"]
    commit: bool
    push: bool
    triggers: list[Trigger]
    drift_without_labels: Literal["retrain", "alert"] = "retrain"
    cooldown_hours: NotNegative = 0
    max_per_week: Positive | None = None


Event = Literal[
    "drift",
    "degraded",
    "schema_error",
    "insufficient_data",
    "promoted",
    "refused",
    "proposed",
    "shadowed",
    "failed",
    "interrupted",
    "held_back",
    "waiting",
    "rolled_back",
]


class Alerts(Group):
    """The command that is told of events; None when nobody is."""

    command: str | None = None
    events: list[Event] = []
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=30)] = 10


class Params(Group):
    """The whole of params.json."""

    name: str
    seed: int
    threads: Positive
    partitions: list[str]
    data: Data
    split: Split
    model: Model
    evaluate: Evaluate
    gate: Gate
    serving: Serving
    monitoring: Monitoring
    retrain: Retrain
    alerts: Alerts = msgspec.field(default_factory=Alerts)
    sweep: Sweep = msgspec.field(default_factory=Sweep)


def check(params: object, type_: type[T], where: str) -> T:
    """Turn plain values into `type_`; the `Refusal` of a wrong one names the key."""
    try:
        return msgspec.convert(params, type_)
    except msgspec.ValidationError as error:
        raise Refusal(f"{where}: {error}; mend it in conf/") from None


def composed(params: object) -> Params:
    """The whole configuration, checked also for what no single value can show."""
    found = check(params, Params, "conf/")
    trouble = _trouble(found.data) or _split_trouble(found.split) or _metrics_trouble(found)
    if trouble := trouble or _sweep_trouble(found.sweep):
        raise Refusal(trouble)
    return found


def _trouble(data: Data) -> str:
    roles, columns = data.roles, data.columns
    named = [name for name in (roles.key, roles.time, roles.target) if name]
    for name in (*named, *columns):
        if not name.isprintable() or set(name) & set('"\\'):
            return (
                f"conf/data/: the column name {name!r} holds a quote, a backslash or a control "
                "character, which a request cannot hold; rename it in the source"
            )
    if len({*named, *data.inputs}) < len(named) + len(data.inputs):
        return "conf/data/: a column has two roles, or is an input and has a role"
    if not data.inputs:
        return "conf/data/: no column is an input: make one numeric or categorical"
    if unknown := sorted(set(data.segments) - set(data.inputs)):
        return f"conf/data/: no input is named {', '.join(unknown)}, as segments says"
    known = {name for name, column in columns.items() if not column.function} | {roles.time}
    for name, column in columns.items():
        if unknown := [one for one in column.of if one not in known]:
            return f"conf/data/: {name!r} is made of {', '.join(unknown)}, which is no such column"
        if bool(column.function) != bool(column.of):
            return f"conf/data/: {name!r} needs both `function` and `of`"
        if column.function and (column.missing or column.min is not None or column.max is not None):
            return f"conf/data/: {name!r} is made by a function, so it has no limits of its own"
    count = len(set(data.classes or ()))
    if data.task == "regression":
        return "conf/data/: a regression has no classes: set `classes: null`" if count else ""
    if count != len(data.classes or ()) or count < 2 or (data.task == "binary") != (count == 2):
        return f"conf/data/: `classes` names {count} classes, which is not {data.task}"
    return ""


def _split_trouble(split: Split) -> str:
    if (split.holdout_partitions is None) == (split.holdout_share is None):
        return "conf/split/: set either holdout_partitions or holdout_share"
    return ""


def _sweep_trouble(sweep: Sweep) -> str:
    if sweep.n_trials is None and sweep.minutes is None:
        return "conf/sweep/: set n_trials or minutes, or the sweep would never end"
    return ""


def _metrics_trouble(params: Params) -> str:
    from . import tasks  # which reads this module

    own, standard = params.evaluate.metrics, tasks.KINDS[params.data.task].HIGHER_IS_BETTER
    for name in own:
        if not METRIC.fullmatch(name) or name in standard:
            return f"conf/evaluate/: a metric needs a name of letters, digits and _, not {name!r}"
    known = [*standard, *own]
    asked = {
        "gate": {params.gate.metric, params.gate.guard_metric},
        "sweep": set(params.sweep.metrics or ()),
    }
    for group, metrics in asked.items():
        if unknown := metrics - set(known):
            names = ", ".join(known)
            return f"conf/{group}/: no metric is named {', '.join(sorted(unknown))}, only {names}"
    return ""


@overload
def read(section: str, type_: type[T]) -> T: ...
@overload
def read(section: str, type_: Any) -> Any: ...
def read(section: str, type_: Any) -> Any:
    """A section of params.json, such as `split`, or one key of it, such as `data.target`.

    A stage reads only what dvc.yaml lists for it, so that no change goes unnoticed.
    """
    if not (paths.PARAMS.exists() and paths.SCHEMA.exists()):
        raise Refusal("params.json is not here: run `dvc repro compose` in the project folder")
    try:
        found = json.loads(paths.PARAMS.read_text(encoding="utf-8"))
        found["data"]["columns"] = json.loads(paths.SCHEMA.read_text(encoding="utf-8"))
    except (ValueError, LookupError, TypeError):
        raise Refusal("params.json is broken: run `dvc repro --force compose`") from None
    for name in section.split("."):
        if name not in found:
            raise Refusal(f"params.json has no {section!r}: run `dvc repro compose`")
        found = found[name]
    return check(found, type_, f"{section!r} of params.json")
