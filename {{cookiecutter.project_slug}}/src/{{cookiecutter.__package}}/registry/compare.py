"""Challenger, champion and baseline on the same rows of the holdout."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from .. import config, paths, table, tasks
from ..cli import Refusal
from ..pipeline.evaluate import named_values
from ..pipeline.split import labelled, with_functions
from ..serving import bundle
from . import deploy, guards, lineage
from .build import held_out, partitions
from .gate import Metrics, Verdict, judge
from .paired import Pair
from .store import Store, Version


def compare(
    store: Store,
    data: config.Data,
    made: lineage.Lineage,
    challenger: Path,
    champion: Version | None,
) -> Verdict:
    """Score challenger, champion and baseline on the same rows of the holdout, and judge.

    Partitions that the champion was trained on are left out; `Refusal` when none remains.
    """
    evaluate = config.read("evaluate", config.Evaluate)
    task = tasks.of(data, evaluate)
    split = config.read("split", config.Split)
    serving = old = readable(store, champion) if champion else None
    if old and (other := another_table(old, data)):
        print(f"{other}: judged as first")
        old = None
    fair = partitions()[1]
    if old and not (split.holdout_share and old.manifest.held_out == held_out(data, split)):
        fair = [name for name in fair if name not in old.manifest.trained_on]
    if not fair:
        raise Refusal(
            f"the champion was trained on the whole holdout ({', '.join(partitions()[1])}), "
            "so the two cannot be compared: `make arrive` takes newer data in"
        )
    rows = holdout_rows(data, split, fair)
    labels = np.array(rows[data.roles.target])
    known = np.array(table.columns(paths.TRAIN, [data.roles.target])[data.roles.target])
    baseline = task.score(labels, task.baseline(known, len(labels)))
    new = bundle.Model(challenger)
    asked = {name: rows[name] for name in data.asked}
    told = new.predict_columns(asked)
    if old is None:
        scored = task.score(labels, told)
        verdict = judge(config.read("gate", config.Gate), task, scored, None, baseline)
    else:
        groups = named_values(rows[data.roles.group]) if data.roles.group else None
        pair = Pair(labels, told, old.predict_columns(asked), groups)
        if old.manifest.model_md5 == made.model_md5:
            reason = "the champion's own model with other settings"
            ours, theirs = (task.score(labels, answers) for answers in (told, pair.champion))
            verdict = Verdict(True, "same_model", reason, ours, theirs, baseline)
        else:
            segments = {name: rows[name] for name in data.segments}
            verdict = against(old, new, task, pair, rows, segments, baseline)
    changes = list(serving.schema.changes(new.schema)) if serving else []
    return msgspec.structs.replace(verdict, rows=len(labels), partitions=fair, changes=changes)


def against(
    old: bundle.Model,
    new: bundle.Model,
    task: tasks.Task,
    pair: Pair,
    rows: Mapping[str, Sequence[Any]],
    segments: Mapping[str, Sequence[Any]],
    baseline: Metrics,
) -> Verdict:
    """The verdict on a challenger that there is a champion to compare with, on some rows."""
    gate, seed = config.read("gate", config.Gate), config.read("seed", int)
    bins = config.read("evaluate", config.Evaluate).calibration_bins
    by_segment = guards.by_segment(gate, task, pair, segments, seed)
    measured = [
        guards.calibration(gate, task, pair, bins, seed),
        guards.segments(gate, by_segment),
        guards.slowdown(gate, new, old, rows),
    ]
    gain = guards.gain_of(task, gate.metric)
    verdict = judge(
        gate,
        task,
        task.score(pair.labels, pair.challenger),
        task.score(pair.labels, pair.champion),
        baseline,
        pair.interval(gain, gate.confidence, seed) if gate.confidence else None,
        [guard for guard in measured if guard],
    )
    return msgspec.structs.replace(verdict, segments=by_segment)


def readable(store: Store, champion: Version) -> bundle.Model | None:
    """The champion, to be scored; None when its bundle is of another format."""
    try:
        return deploy.ensure(store, champion)
    except bundle.OtherFormat:
        return None


def another_table(old: bundle.Model, data: config.Data) -> str:
    """Why the champion could not answer for today's rows at all; empty when it could."""
    if gone := {column.name for column in old.schema.asked} - set(data.asked):
        return f"the champion needs {', '.join(sorted(gone))}, gone from the data"
    if (old.manifest.task, old.manifest.classes) != (data.task, data.classes):
        return "the champion tells something else"
    return ""


def holdout_rows(data: config.Data, split: config.Split, names: list[str]) -> dict[str, list[Any]]:
    """Columns of the labelled rows that judge, of some partitions.

    They are those of a request, the segments, the target and the group.
    """
    files_ = [paths.RAW / f"{name}.parquet" for name in names]
    also = [data.roles.group] if data.roles.group else []
    wanted = list(dict.fromkeys([*data.asked, *data.segments, data.roles.target, *also]))
    query = labelled(data, split, files_, holdout=True, also=also)
    made = {name: data.columns[name] for name in data.segments if data.columns[name].function}
    if made:
        query = with_functions(data, query)
    query = f"SELECT {table.quoted(*wanted)} FROM ({query})"
    return table.by_name(wanted, table.rows(query, functions=data.columns if made else None))
