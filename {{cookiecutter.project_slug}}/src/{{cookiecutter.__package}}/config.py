"""The composed configuration, `params.json`, as types: one class for each group of `conf/`."""

import json
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from . import paths
from .cli import Refusal

T = TypeVar("T")
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Group(msgspec.Struct, forbid_unknown_fields=True):
    """A group whose unknown keys are refused, so that a misspelt one is noticed."""


Kind = Literal["numeric", "categorical"]


class Column(Group):
    """One input of the model.

    `missing` is the largest share of missing values a partition may have; 0 means that the column
    is required, in the data and in every request.
    """

    type: Kind
    missing: float = 0.0
    min: float | None = None
    max: float | None = None
    description: str = ""


class Roles(Group):
    """The columns that are not inputs: `key` names a row, `time` orders it, `target` is learnt."""

    key: str
    time: str
    target: str


class Data(Group):
    """What the table is: source, roles of its columns, inputs of the model, text of its card."""

    source: str
    roles: Roles
    max_unlabelled: float
    segments: list[str]
    intended_use: str
    limits: list[str]
    columns: dict[str, Column]


class Split(Group):
    """How many of the newest partitions judge, and how many before them train (null: all)."""

    holdout_partitions: Positive
    train_partitions: Positive | None = None


class Model(Group):
    """The estimator by its import path and arguments, and how columns are encoded for it."""

    name: str
    encoding: Literal["native_categories", "ordinal", "one_hot"]
    estimator: dict[str, Any]


class Evaluate(Group):
    """Where a probability becomes label 1, and how fine the calibration curve is."""

    threshold: float
    calibration_bins: Positive


Metric = Literal["log_loss", "brier", "roc_auc", "average_precision"]


class Gate(Group):
    """The rules of promotion; see conf/gate/."""

    metric: Metric
    min_skill: float
    min_gain: float
    guard_metric: Metric
    max_guard_loss: float


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
    """When logged traffic counts as drift."""

    window_days: float
    min_rows: Positive
    sample_rows: Positive
    drift_share: float


class Retrain(Group):
    """What a scheduled run may do on its own."""

    arrive: Literal["next", "all", "none"]
    only_when_needed: bool
    commit: bool
    push: bool


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


def check(params: object, type_: type[T], where: str) -> T:
    """Turn plain values into `type_`; the `Refusal` of a wrong one names the key."""
    try:
        return msgspec.convert(params, type_)
    except msgspec.ValidationError as error:
        raise Refusal(f"{where}: {error}; mend it in conf/") from None


def composed(params: object) -> Params:
    """The whole configuration, checked also for what no single value can show."""
    found = check(params, Params, "conf/")
    roles = found.data.roles
    names = (roles.key, roles.time, roles.target, *found.data.columns)
    for name in names:
        if not name.isprintable() or set(name) & set('"\\'):
            raise Refusal(
                f"conf/data/: the column name {name!r} holds a quote, a backslash or a control "
                "character, which a request cannot hold; rename it in the source"
            )
    if len(set(names)) < len(names):
        raise Refusal("conf/data/: a column has two roles, or is an input and has a role")
    if unknown := sorted(set(found.data.segments) - set(found.data.columns)):
        raise Refusal(f"conf/data/: no column is named {', '.join(unknown)}, as segments says")
    return found


def read(section: str, type_: type[T]) -> T:
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
