"""What follows from what the monitor saw: alerts, and the way back from a new model that fails."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from .. import alerts, config, files, paths, tasks
from ..cli import Refusal
from ..registry import deploy
from ..registry.guards import gain_of
from ..registry.paired import Pair
from ..registry.rollback import rollback, told
from ..registry.store import PREVIOUS, Store
from ..serving import bundle
from ..serving.champion import Pointer, read_pointer
from ..serving.schema import BadRequest
from .performance import at_release, judge
from .traffic import Traffic

if TYPE_CHECKING:
    from .summary import Summary


class Guarded(msgspec.Struct, frozen=True):
    """Which version serves again, None when there was no rollback, and why."""

    version: int | None
    reason: str


def react(summary: "Summary") -> tuple[Guarded | None, list[str]]:
    """Tell the alert hook, and roll back if the guard says so; what the guard did is printed.

    Returns what it did, None when the champion is not its business, and the hook's failures.
    """
    troubles = [alerts.monitored(summary)]
    guarded = guard(summary)
    if guarded and guarded.version:
        print(f"rolled back: version {guarded.version} is champion again: {guarded.reason}")
        troubles.append(told())
    elif guarded:
        print(f"not rolled back: {guarded.reason}")
    return guarded, [trouble for trouble in troubles if trouble]


def guard(summary: "Summary") -> Guarded | None:
    """Go back to the previous champion when the present one is new, degraded, and worse than it.

    All of it on the answers that the champion has given since its promotion. None when it is not
    degraded, or older than `rollback_days`.
    """
    days = config.read("monitoring", config.Monitoring).rollback_days
    pointer = read_pointer(paths.BUNDLES)
    if summary.status != "degraded" or days is None or pointer is None:
        return None
    since = promoted(summary.version, pointer)
    if datetime.now(UTC) - since > timedelta(days=days):
        return None
    try:
        champion = bundle.Model(paths.BUNDLES / pointer.bundle)
        store = Store(config.read("name", str))
        previous = store.holder(PREVIOUS)
        if previous is None or previous.rolled_back or previous.number == summary.version:
            raise Refusal("there is no previous champion that may serve")
        because = better(deploy.ensure(store, previous), champion, since)
        rollback(summary.version, f"it is degraded, and {because}")
    except Refusal as refusal:
        return Guarded(None, str(refusal))
    return Guarded(previous.number, because)


def promoted(version: int, pointer: Pointer) -> datetime:
    """When a champion was promoted last; as far as this machine knows, when it began to serve."""
    times = [
        line["at"]
        for line in files.read_lines(paths.HISTORY)
        if (line["event"], line["version"]) == ("promoted", version)
    ]
    return datetime.fromisoformat(times[-1] if times else pointer.since)


def better(old: bundle.Model, champion: bundle.Model, since: datetime) -> str:
    """Why the model before is the better one; `Refusal` says why it is not, or cannot be told.

    Both on the same labelled answers since then, by the gate's metric and its confidence.
    """
    monitoring = config.read("monitoring", config.Monitoring)
    gate, seed = config.read("gate", config.Gate), config.read("seed", int)
    new, name = champion.manifest, f"version {old.manifest.version}"
    if (new.task, new.classes) != (old.manifest.task, old.manifest.classes):
        raise Refusal(f"{name} tells something else")
    if change := champion.schema.broken_by(old.schema):
        raise Refusal(f"{name} {change}, so the requests of today would fail")
    rows = Traffic(champion, monitoring.window_days).asked(monitoring.sample_rows, seed, since)
    if len(rows) < monitoring.min_rows:
        raise Refusal(
            f"labels of {len(rows)} answers since the promotion have arrived, "
            f"{monitoring.min_rows} are needed"
        )
    labels, told_, sent = zip(*rows, strict=True)
    try:
        answers, _ = old.predict([old.schema.decode(row.encode()) for row in sent])
    except BadRequest as error:
        raise Refusal(f"{name} cannot be scored on the rows of the log: {error}") from None
    pair = Pair(np.array(labels), np.array(answers), np.array(told_))
    own = config.read("evaluate", config.Evaluate).metrics
    task = tasks.Task(new.task, new.classes, own)
    judged = judge(
        pair.labels,
        pair.champion,
        task.score,
        at_release(new.metrics, gate),
        task.higher_is_better,
        monitoring.max_loss,
    )
    if not any(one.worse for one in judged):
        raise Refusal("it is not degraded by its answers since the promotion alone")
    return compared(pair, task, gate, seed, name)


def compared(pair: Pair, task: tasks.Task, gate: config.Gate, seed: int, name: str) -> str:
    """Why the challenger of a pair, the model before, is better; `Refusal` when it is not."""
    theirs, ours = (
        task.measure(gate.metric, pair.labels, told) for told in (pair.challenger, pair.champion)
    )
    gain = gain_of(task, gate.metric)
    said = (
        f"{gate.metric} of {name} is {theirs:.4g}, against {ours:.4g} "
        f"on the same {len(pair.labels)} labelled answers"
    )
    least = pair.gain(gain)
    if gate.confidence:
        interval = pair.interval(gain, gate.confidence, seed)
        if interval is None:
            raise Refusal(f"it cannot be told whether {name} is better")
        said, least = f"{said}: gain {interval.gain:+.4f} ({interval})", interval.low
    if not least > 0:
        raise Refusal(f"{said}; that is no better than chance may be")
    return said
