"""What live traffic says of a challenger: the gate's rules on rows that were really asked for."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from .. import config, files, locks, paths, table, tasks
from ..serving import bundle
from ..serving import challenger as status
from .compare import against
from .gate import Verdict
from .shadow_labels import Labelled, labelled, pair
from .shadow_log import ShadowLog

LARGEST = 50_000  # labelled rows that judge, or as many as are asked for
DAY = 86_400


def verdict(
    folder: Path, old: bundle.Model, new: bundle.Model, since: datetime, began: datetime
) -> Verdict | None:
    """Have the challenger answer what is new, tell how far it is, and judge if it can be judged.

    None as long as too few labels are known, or labels that do not define the metrics.
    """
    gate = config.read("gate", config.Gate)
    needed = gate.shadow_rows or 1
    group = config.read("data.roles", config.Roles).group
    log = ShadowLog(folder, old, new, since)
    with locks.exclusive("monitor", wait=60):  # who holds it may be packing the prediction log
        log.answer()
    answered, without, difference = log.counts()
    most = max(needed, LARGEST)
    known = labelled(log.parts(), old.manifest, new.manifest, group, most)
    seen = status.Challenger(
        version=new.manifest.version,
        fingerprint=new.manifest.fingerprint,
        since=since.isoformat(timespec="seconds"),
        answered=answered,
        labelled=len(known),
        needed=needed,
        difference=difference,
        numbers=new.manifest.task == "regression",
    )
    files.write_json(paths.MONITORING / status.WAITING, msgspec.to_builtins(seen))
    print(seen)
    if without:
        said = f"it has no answer to {without:,} of {answered:,} rows that the champion answered"
        return refused("unanswered", said)
    if len(known) >= needed:
        judged = _judge(old, new, log, known, group)
        if judged.rule != "holdout":
            return judged
    waited = (datetime.now(UTC) - began).total_seconds() / DAY
    if waited >= gate.shadow_days:
        said = f"{len(known):,} of {needed:,} labels have arrived in {gate.shadow_days:g} days"
        return refused("shadow_days", said)
    return None


def refused(rule: str, reason: str) -> Verdict:
    """A refusal without figures."""
    return Verdict(False, rule, reason, {}, None, {})


def _judge(
    old: bundle.Model,
    new: bundle.Model,
    log: ShadowLog,
    known: Sequence[Labelled],
    group: str | None,
) -> Verdict:
    manifest, evaluate = new.manifest, config.read("evaluate", config.Evaluate)
    task = tasks.Task(manifest.task, manifest.classes, evaluate.metrics)
    rows = log.rows([one[0] for one in known])
    pairs = pair(known, rows, group)
    sample = table.columns(new.folder / bundle.REFERENCE, [manifest.target])[manifest.target]
    baseline = task.score(pairs.labels, task.baseline(np.array(sample), len(known)))
    named = config.read("data.segments", list[str])
    segments = {name: rows[name] for name in named if name in rows}
    judged = against(old, new, task, pairs, rows, segments, baseline)
    moments = [one[-1] for one in known]
    days = math.ceil((max(moments) - min(moments)) / DAY) or 1
    reason = f"on live traffic {judged.reason}"
    return msgspec.structs.replace(judged, reason=reason, rows=len(known), days=days)
