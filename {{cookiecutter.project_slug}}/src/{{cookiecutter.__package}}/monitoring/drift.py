"""`make drift`: does the traffic still look like the training data, and were the answers right?"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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
from .comparison import compare
from .guard import react
from .importance import importance
from .performance import Performance, at_release, judge
from .picture import draw
from .summary import CODES, Summary, broken, verdict
from .traffic import Traffic

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = "summary.json"  # of each look, in a folder of its time


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
    files.write_json(folder / SUMMARY, msgspec.to_builtins(summary))
    files.write_json(paths.MONITORING / "latest.json", msgspec.to_builtins(summary))
    forget(monitoring.keep_pages)
    return summary


def forget(keep: int) -> None:
    """Remove the pages of all but the newest looks: some megabytes each. The figures stay."""
    for summary in sorted(paths.MONITORING.glob(f"*/{SUMMARY}"))[:-keep]:
        for path in summary.parent.iterdir():
            if path != summary:
                path.unlink()


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
