"""`make drift`: does the traffic still look like the training data, and were the answers right?"""

import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from .. import config, files, locks, paths, table, tasks
from ..cli import Refusal, run
from ..registry import shadow
from ..registry.history import now
from ..serving import bundle
from ..serving.champion import read_pointer
from ..serving.schema import Column
from . import quality, trend, trend_page
from .comparison import Comparison, Finding, compare
from .guard import react
from .importance import importance
from .performance import Performance, at_release, judge
from .traffic import Traffic

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["ok", "drift", "degraded", "insufficient_data", "schema_error"]
CODES: dict[Status, int] = {
    "ok": 0,
    "drift": 10,
    "degraded": 11,
    "insufficient_data": 12,
    "schema_error": 13,
}
PAGE = "drift.html"
NAMED = 3  # columns in a reason


class Summary(msgspec.Struct, frozen=True):
    """What the monitor saw.

    `drift` holds the distance by drifted column and `broken` a clause by column that looks broken,
    what matters most first; `repeated` is the share of rows asked for before. `performance` holds
    the metrics on rows whose labels are known and `intervals` those that the gate goes by; both
    are empty as long as none are. `torn_lines` of the log do not parse: their
    answers were never sent. `share` of the columns, by importance, has drifted; None when there
    were too few rows. `report`, `quality_report` and `trend`, empty when there is none, lie below
    var/monitoring/.
    """

    at: str
    version: int
    status: Status
    reason: str
    rows: int
    torn_lines: int
    drift: dict[str, float]
    broken: dict[str, str]
    repeated: float
    labelled_rows: int
    performance: dict[str, float]
    intervals: list[Performance]
    reference_performance: dict[str, float]
    report: str
    quality_report: str
    share: float | None = None
    trend: str = ""


@locks.exclusive("monitor", wait=60)
def watch() -> Summary:
    """Look at the champion's traffic; write report and summary below var/monitoring/."""
    pointer = read_pointer(paths.BUNDLES)
    if pointer is None:
        raise Refusal("there is no champion to watch yet: run `make release`")
    model = bundle.Model(paths.BUNDLES / pointer.bundle)
    monitoring = config.read("monitoring", config.Monitoring)
    seed = config.read("seed", int)
    traffic = Traffic(model, monitoring.window_days)
    folder = paths.MONITORING / now().replace(":", "")
    rows, answer, report = traffic.count(), answer_name(model), ""
    compared, repeated, gone = None, 0.0, list[str]()
    if rows >= monitoring.min_rows:
        current = traffic.sample(monitoring.sample_rows, seed, answer)
        reference = reference_of(model, answer)
        kinds = {column.name: column.vocabulary is not None for column in watched(model)}
        kinds[answer] = model.manifest.task == "multiclass"
        numeric = {name: not kind for name, kind in kinds.items()}
        weights, time = importance(model), model.manifest.time
        compared = compare(reference, current, numeric, weights, time, monitoring)
        repeated, gone = traffic.repeated(), incomparable(current[[*kinds]], reference)
        if not gone:
            report = draw(current, reference, kinds, folder, monitoring.drift_share)
    labelled = traffic.labelled()
    intervals = []
    if len(labelled) >= monitoring.min_rows:
        intervals = against_release(labelled, model.manifest, monitoring)
    status, reason = verdict(
        rows, compared, gone, repeated, intervals, model.manifest.target, answer, monitoring
    )
    summary = Summary(
        at=now(),
        version=model.manifest.version,
        status=status,
        reason=reason,
        rows=rows,
        torn_lines=traffic.torn,
        drift={one.column: one.distance for one in compared.moved} if compared else {},
        broken={one.column: one.fault for one in broken(compared, answer)} if compared else {},
        repeated=repeated,
        labelled_rows=len(labelled),
        performance=performance(labelled, model),
        intervals=intervals,
        reference_performance=model.manifest.metrics,
        report=report,
        quality_report=quality.report(labelled, model.manifest, folder, monitoring, seed),
        share=compared.share if compared else None,
    )
    seen = msgspec.convert(summary, trend_page.Run, from_attributes=True)
    shown = trend.report(traffic.log, model.manifest, seen)
    summary = msgspec.structs.replace(summary, trend=shown)
    files.write_json(folder / "summary.json", msgspec.to_builtins(summary))
    files.write_json(paths.MONITORING / "latest.json", msgspec.to_builtins(summary))
    return summary


def performance(labelled: list[tuple[float, Any]], model: bundle.Model) -> dict[str, float]:
    """Metrics of labels and predictions; none without labels."""
    if not labelled:
        return {}
    labels, predictions = map(np.array, zip(*labelled, strict=True))
    manifest, own = model.manifest, config.read("evaluate", config.Evaluate).metrics
    return tasks.Task(manifest.task, manifest.classes, own).score(labels, predictions)


def against_release(
    labelled: Sequence[tuple[float, Any]],
    manifest: bundle.Manifest,
    monitoring: config.Monitoring,
) -> list[Performance]:
    """The metrics that the gate goes by, on labels and predictions, beside those at release.

    The oldest answer comes first; of many, some evenly spaced ones count.
    """
    count = min(len(labelled), monitoring.sample_rows)
    chosen = np.linspace(0, len(labelled) - 1, count).astype(int)
    labels, predictions = (np.array(side)[chosen] for side in zip(*labelled, strict=True))
    gate, own = config.read("gate", config.Gate), config.read("evaluate", config.Evaluate).metrics
    task = tasks.Task(manifest.task, manifest.classes, own)
    known = at_release(manifest.metrics, gate)
    return judge(labels, predictions, task.score, known, task.higher_is_better, monitoring.max_loss)


def watched(model: bundle.Model) -> list[Column]:
    """The inputs that a request holds."""
    return [column for column in model.schema.columns if not column.function]


def answer_name(model: bundle.Model) -> str:
    """What the prediction is called beside the inputs."""
    names = {column.name for column in model.schema.asked}
    return "prediction" if "prediction" not in names else "prediction of the model"


def reference_of(model: bundle.Model, answer: str) -> "pd.DataFrame":
    """The sample of training rows kept in the bundle, with the model's own predictions."""
    path = model.folder / bundle.REFERENCE
    columns = model.schema.columns
    shown = [column.name for column in watched(model)]
    if (time := model.manifest.time) and time not in shown:
        shown.append(time)
    found = model.predict_columns(table.columns(path, [column.name for column in columns]))
    if found.ndim == 2:
        classes = np.array([str(one) for one in model.manifest.classes or ()], dtype=object)
        found = classes[found.argmax(axis=1)]
    return table.frame(path, shown).assign(**{answer: found})


def incomparable(current: "pd.DataFrame", reference: "pd.DataFrame") -> list[str]:
    """Columns that cannot be compared, one clause each; empty when all can."""
    broken = []
    for name in current.columns.intersection(reference.columns):
        if current[name].isna().all() and not reference[name].isna().all():
            broken.append(f"{name!r} is missing in every row")
    return broken


def draw(
    current: "pd.DataFrame",
    reference: "pd.DataFrame",
    kinds: dict[str, bool],
    folder: Path,
    drift_share: float,
) -> str:
    """Have Evidently draw drift.html, and write what it says as drift.json.

    `kinds` tells which columns are categorical. Returns the page's path below the folder's parent;
    empty when Evidently fails: the status does not depend on it.
    """
    os.environ.setdefault("DO_NOT_TRACK", "true")
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    # A column missing throughout on both sides has nothing to compare.
    used = [name for name in kinds if not reference[name].isna().all()]
    definition = DataDefinition(
        numerical_columns=[name for name in used if not kinds[name]],
        categorical_columns=[name for name in used if kinds[name]],
    )
    try:
        # Distances whatever the number of rows: by default small samples would give p-values.
        preset = DataDriftPreset(
            drift_share=drift_share, num_method="wasserstein", cat_method="jensenshannon"
        )
        sides = (Dataset.from_pandas(side[used], definition) for side in (current, reference))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of columns that do not vary
            snapshot = Report([preset]).run(*sides)
        folder.mkdir(parents=True, exist_ok=True)
        snapshot.save_html(str(folder / PAGE))
        files.write_json((folder / PAGE).with_suffix(".json"), json.loads(snapshot.json()))
    except Exception as error:
        print(f"no report on the traffic, Evidently says: {error}")
        return ""
    return f"{folder.name}/{PAGE}"


def verdict(
    rows: int,
    compared: Comparison | None,
    gone: list[str],
    repeated: float,
    intervals: list[Performance],
    target: str,
    answer: str,
    monitoring: config.Monitoring,
) -> tuple[Status, str]:
    """Status and reason; of several the one that asks for more.

    `compared` is None when the rows are too few, and `gone` tells which columns are missing.
    """
    moved = drift_of(compared, repeated, answer, monitoring) if compared else []
    if gone:
        return "schema_error", "; ".join(gone)
    if worse := [one for one in intervals if one.worse]:
        return "degraded", "; ".join([*(told(one, target) for one in worse), *moved])
    if moved:
        return "drift", "; ".join(moved)
    if not compared:
        needed = monitoring.min_rows
        return "insufficient_data", f"{rows} rows answered, {needed} needed to speak of drift"
    return "ok", (
        f"{compared.share:.0%} of the columns, by importance, have drifted, "
        f"less than {monitoring.drift_share:.0%}"
    )


def told(one: Performance, target: str) -> str:
    """A clause on a metric that has become worse."""
    found = (
        f"{one.metric} of {target} is {one.value:.3g} ({one.low:.3g} to {one.high:.3g}), "
        f"{one.reference:.3g} at release"
    )
    if one.metric == "roc_auc" and one.high < 0.5:  # no honest model is worse than chance
        found += f", as if the classes of {target} were swapped"
    return found


def broken(compared: Comparison, answer: str) -> list[Finding]:
    """The inputs that look broken; the answer that they lead to only drifts."""
    return [one for one in compared.broken if one.column != answer]


def drift_of(
    compared: Comparison, repeated: float, answer: str, monitoring: config.Monitoring
) -> list[str]:
    """Clauses on what calls for attention; empty when nothing does."""
    found = []
    if repeated > monitoring.max_repeated:
        found.append(f"{repeated:.0%} of the rows are doubled: asked for before, with the same key")
    for one in broken(compared, answer)[:NAMED]:
        found.append(f"{one.column} looks broken: {one.fault}")
    if compared.share >= monitoring.drift_share:
        others = [one for one in compared.drifted if one.column != answer][:NAMED]
        named = ", ".join(f"{one.column} ({one.distance:.2f})" for one in others)
        share = f"{compared.share:.0%} of the columns, by importance, have drifted"
        found.append(f"{share}, most of all {named}" if named else share)
    found += [
        f"the {answer} has drifted ({one.distance:.2f})"
        for one in compared.moved
        if one.column == answer
    ]
    return found


def main() -> int:
    """Print status and quality; with --exit-code the status is the code, see `CODES`."""
    summary = watch()
    print(f"version {summary.version}, {summary.rows} rows answered")
    if summary.torn_lines:
        print(f"{summary.torn_lines} lines of the prediction log are torn and were passed over")
    print(f"status: {summary.status} ({summary.reason})")
    if summary.labelled_rows:
        print(f"labels have arrived for {summary.labelled_rows} rows:")
        for name, value in summary.performance.items():
            released = summary.reference_performance.get(name)
            print(f"  {name:<18} {value:.4f}   at release {released or float('nan'):.4f}")
    else:
        print("no labels have arrived for these rows yet")
    if summary.report:
        print(f"report: {paths.MONITORING / summary.report}")
    if summary.quality_report:
        print(f"report on the labelled answers: {paths.MONITORING / summary.quality_report}")
    if summary.trend:
        print(f"over time: {paths.MONITORING / summary.trend}")
    react(summary)
    try:
        shadow.follow()
    except Refusal as error:
        print(f"the challenger was not looked at: {error}")
    return CODES[summary.status] if "--exit-code" in sys.argv[1:] else 0


if __name__ == "__main__":
    run(main)
