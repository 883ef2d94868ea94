"""`make drift`: does the traffic still look like the training data, and were the answers right?"""

import json
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from .. import config, files, locks, paths, table, tasks
from ..cli import Refusal, run
from ..registry.history import now
from ..serving import bundle
from ..serving.champion import read_pointer
from . import quality
from .compact import compact
from .traffic import Traffic

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["ok", "drift", "insufficient_data", "schema_error"]
CODES: dict[Status, int] = {"ok": 0, "drift": 10, "insufficient_data": 12, "schema_error": 13}


class Summary(msgspec.Struct, frozen=True):
    """What the monitor saw.

    `drift` holds Evidently's distance by drifted column, `performance` the metrics on rows whose
    labels are known; it is empty as long as none are. `torn_lines` of the log do not parse: their
    answers were never sent. `report` and `quality_report`, empty when there is none, lie below
    var/monitoring/.
    """

    at: str
    version: int
    status: Status
    reason: str
    rows: int
    torn_lines: int
    drift: dict[str, float]
    labelled_rows: int
    performance: dict[str, float]
    reference_performance: dict[str, float]
    report: str
    quality_report: str


@locks.exclusive("monitor", wait=60)
def watch() -> Summary:
    """Look at the champion's traffic; write report and summary below var/monitoring/."""
    pointer = read_pointer(paths.BUNDLES)
    if pointer is None:
        raise Refusal("there is no champion to watch yet: run `make release`")
    model = bundle.Model(paths.BUNDLES / pointer.bundle)
    monitoring = config.read("monitoring", config.Monitoring)
    seed = config.read("seed", int)
    compact(paths.PREDICTIONS)
    traffic = Traffic(model, monitoring.window_days)
    folder = paths.MONITORING / now().replace(":", "")
    rows, drifted, report = traffic.count(), {}, ""
    if rows < monitoring.min_rows:
        status: Status = "insufficient_data"
        reason = f"{rows} rows answered, {monitoring.min_rows} needed to speak of drift"
    else:
        answer = answer_name(model)
        current = traffic.sample(monitoring.sample_rows, seed, answer)
        reference = reference_of(model, answer)
        if broken := incomparable(current, reference):
            status, reason = "schema_error", "; ".join(broken)
        else:
            kinds = {column.name: column.vocabulary is not None for column in model.schema.asked}
            kinds[answer] = model.manifest.task == "multiclass"
            distances, share = compare(current, reference, kinds, folder, monitoring.drift_share)
            drifted = {name: distance for name, (distance, over) in distances.items() if over}
            report = f"{folder.name}/drift.html"
            status, reason = verdict(drifted, share, monitoring.drift_share, answer)
    labelled = traffic.labelled()
    summary = Summary(
        at=now(),
        version=model.manifest.version,
        status=status,
        reason=reason,
        rows=rows,
        torn_lines=traffic.torn,
        drift=drifted,
        labelled_rows=len(labelled),
        performance=performance(labelled, model),
        reference_performance=model.manifest.metrics,
        report=report,
        quality_report=quality.report(labelled, model.manifest, folder, monitoring, seed),
    )
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


def answer_name(model: bundle.Model) -> str:
    """What the prediction is called beside the inputs."""
    names = {column.name for column in model.schema.asked}
    return "prediction" if "prediction" not in names else "prediction of the model"


def reference_of(model: bundle.Model, answer: str) -> "pd.DataFrame":
    """The sample of training rows kept in the bundle, with the model's own predictions."""
    path = model.folder / bundle.REFERENCE
    columns = model.schema.columns
    inputs = [column.name for column in columns if not column.function]
    found = model.predict_columns(table.columns(path, [column.name for column in columns]))
    if found.ndim == 2:
        classes = np.array([str(one) for one in model.manifest.classes or ()], dtype=object)
        found = classes[found.argmax(axis=1)]
    return table.frame(path, inputs).assign(**{answer: found})


def incomparable(current: "pd.DataFrame", reference: "pd.DataFrame") -> list[str]:
    """Columns that cannot be compared, one clause each; empty when all can."""
    broken = []
    for name in reference.columns:
        if current[name].isna().all() and not reference[name].isna().all():
            broken.append(f"{name!r} is missing in every row")
    return broken


def compare(
    current: "pd.DataFrame",
    reference: "pd.DataFrame",
    kinds: dict[str, bool],
    folder: Path,
    drift_share: float,
) -> tuple[dict[str, tuple[float, bool]], float]:
    """Run Evidently; write drift.html and drift.json. `kinds` tells which columns are categorical.

    Returns by column the distance and whether it is over Evidently's threshold, the farthest
    first, and the share of drifted columns.
    """
    os.environ.setdefault("DO_NOT_TRACK", "true")
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    # A column missing throughout on both sides has nothing to compare.
    used = [name for name in reference.columns if not reference[name].isna().all()]
    definition = DataDefinition(
        numerical_columns=[name for name in used if not kinds[name]],
        categorical_columns=[name for name in used if kinds[name]],
    )
    sides = (Dataset.from_pandas(side[used], definition) for side in (current, reference))
    # Distances whatever the number of rows: by default small samples would give p-values.
    preset = DataDriftPreset(
        drift_share=drift_share, num_method="wasserstein", cat_method="jensenshannon"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns that do not vary
        snapshot = Report([preset]).run(*sides)
    folder.mkdir(parents=True, exist_ok=True)
    snapshot.save_html(str(folder / "drift.html"))
    found: dict[str, Any] = json.loads(snapshot.json())
    files.write_json(folder / "drift.json", found)
    distances, share = {}, 0.0
    for metric in found["metrics"]:
        settings = metric["config"]
        if "column" not in settings:
            share = float(metric["value"]["share"])
            continue
        distance = float(metric["value"])
        distances[settings["column"]] = (distance, distance >= float(settings["threshold"]))
    ordered = sorted(distances.items(), key=lambda item: -item[1][0])
    return dict(ordered), share


def verdict(
    drifted: dict[str, float], share: float, limit: float, answer: str
) -> tuple[Status, str]:
    """Status and reason: many columns have drifted, or the prediction itself has."""
    named = ", ".join(f"{name} ({distance:.2f})" for name, distance in list(drifted.items())[:5])
    if share >= limit:
        return "drift", f"{share:.0%} of the columns have drifted, most of all {named}"
    if answer in drifted:
        return "drift", f"the {answer} has drifted ({drifted[answer]:.2f})"
    return "ok", f"{share:.0%} of the columns have drifted, less than {limit:.0%}"


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
    return CODES[summary.status] if "--exit-code" in sys.argv[1:] else 0


if __name__ == "__main__":
    run(main)
