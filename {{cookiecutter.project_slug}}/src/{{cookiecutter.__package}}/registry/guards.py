"""What a better challenger must not spoil: calibration, single segments, speed."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from ..config import Gate
from ..pipeline.evaluate import named_values
from ..serving.bundle import Model
from ..serving.schema import BadRequest
from ..tasks import Task
from .paired import Gain, Interval, Pair

SEGMENTS = 50  # values of a column that are looked at, those with most rows
ANSWERS, ROUNDS = 20, 5  # timed
FAST = 0.001  # seconds of one answer below which no slowdown matters


class Guard(msgspec.Struct, frozen=True):
    """What one guard has measured; `said` is why it refuses, empty when it holds."""

    rule: str
    measured: str
    limit: str
    said: str = ""


class Segment(msgspec.Struct, frozen=True):
    """Both models on the rows with one value of a column, by the metric of the gate.

    `share` is the gain as a share of the champion's figure. `interval` is there where the loss is
    above the limit, to tell it from chance.
    """

    column: str
    value: str
    rows: int
    challenger: float
    champion: float
    gain: float
    share: float
    interval: Interval | None = None

    @property
    def name(self) -> str:
        """Column and value."""
        return f"{self.column} {self.value}"


def share(gain: float, of: float) -> float:
    """A gain as a share of a figure."""
    return gain / abs(of) if of else np.inf * gain if gain else 0.0


def gain_of(task: Task, metric: str) -> Gain:
    """By how much the challenger is better on a metric."""

    def gain(labels: Any, challenger: Any, champion: Any) -> float:
        new, old = (task.measure(metric, labels, told) for told in (challenger, champion))
        return task.gain(metric, new, old)

    return gain


def calibration(gate: Gate, task: Task, pair: Pair, bins: int, seed: int) -> Guard | None:
    """Refuses when predicted and observed are further apart than with the champion.

    A loss above the limit that may as well be chance does not count.
    """
    if gate.max_calibration_loss is None:
        return None

    def gain(labels: Any, challenger: Any, champion: Any) -> float:
        new, old = (task.miscalibration(labels, told, bins) for told in (challenger, champion))
        return old - new

    new, old = (task.miscalibration(pair.labels, x, bins) for x in (pair.challenger, pair.champion))
    lost, limit, said = new - old, gate.max_calibration_loss, ""
    if not lost <= limit and _shown(gate, pair, gain, seed)[0]:
        said = (
            f"the calibration error {new:.4f} is {lost:.4f} worse than the champion's {old:.4f}; "
            f"at most {limit:g} is allowed"
        )
    measured = f"{new:.4f}, champion {old:.4f}: {lost:+.4f}"
    return Guard("max_calibration_loss", measured, f"{limit:+g}", said)


def _shown(gate: Gate, pair: Pair, gain: Gain, seed: int) -> tuple[bool, Interval | None]:
    """Whether a loss is more than chance, as far as the gate asks for confidence, and its ends."""
    interval = pair.interval(gain, gate.confidence, seed) if gate.confidence else None
    return interval is None or interval.high < 0, interval


def by_segment(
    gate: Gate, task: Task, pair: Pair, columns: Mapping[str, Sequence[Any]], seed: int
) -> list[Segment]:
    """Both models on each value with enough rows, the largest loss first."""
    found, limit = [], gate.max_segment_loss
    gain = gain_of(task, gate.metric)
    for column, values in columns.items():
        named = named_values(values)
        for value, rows in list(_counted(named))[:SEGMENTS]:
            if rows < gate.segment_rows:
                break
            here = pair.of(named == value)
            new, old = (
                task.measure(gate.metric, here.labels, told)
                for told in (here.challenger, here.champion)
            )
            gained = task.gain(gate.metric, new, old)
            if not np.isfinite(gained):
                continue  # the metric is undefined there
            lost = -share(gained, old)
            suspect = limit is not None and lost > limit
            interval = _shown(gate, here, gain, seed)[1] if suspect else None
            found.append(Segment(column, value, rows, new, old, gained, -lost, interval))
    return sorted(found, key=lambda segment: segment.share)


def _counted(named: Any) -> list[tuple[str, int]]:
    values, counts = np.unique(named, return_counts=True)
    return [(str(values[i]), int(counts[i])) for i in np.argsort(-counts, kind="stable")]


def segments(gate: Gate, found: Sequence[Segment]) -> Guard | None:
    """Refuses when the challenger is worse than the limit on a segment, and not by chance."""
    limit = gate.max_segment_loss
    if limit is None:
        return None
    if not found:
        measured = f"no value of data.segments has {gate.segment_rows} rows"
        return Guard("max_segment_loss", measured, f"{limit:.1%}")
    lost = [
        one
        for one in found
        if -one.share > limit and (one.interval is None or one.interval.high < 0)
    ]
    worst, said = (lost or found)[0], ""
    if lost:
        said = (
            f"{gate.metric} {worst.challenger:.4f} on the {worst.rows:,} rows with {worst.name} is "
            f"{-worst.share:.1%} worse than the champion's {worst.champion:.4f}; "
            f"at most {limit:.1%} is allowed"
        )
    measured = f"worst is {worst.name}: {-worst.share:+.1%}"
    return Guard("max_segment_loss", measured, f"{limit:+.1%}", said)


def slowdown(
    gate: Gate, challenger: Model, champion: Model, rows: Mapping[str, Sequence[Any]]
) -> Guard | None:
    """Refuses when one answer takes so many times as long as the champion's, and over `FAST`.

    The two are timed in turns and the fastest round counts, by the time of this process, so that
    other work on the machine matters little.
    """
    if gate.max_slowdown is None:
        return None
    both = [(model, _decoded(model, rows)) for model in (challenger, champion)]
    rounds = [[_seconds(model, decoded) for model, decoded in both] for _ in range(ROUNDS)]
    new, old = (min(times) for times in zip(*rounds, strict=True))
    said = ""
    if new > FAST and new > gate.max_slowdown * old:
        # The figures differ from one run to the next, this sentence must not: see `history`.
        said = (
            f"one answer takes more than {gate.max_slowdown:g} times as long as the champion's "
            f"and more than {FAST * 1000:g} ms"
        )
    measured = f"{new * 1000:.3f} ms, champion {old * 1000:.3f} ms"
    limit = f"{gate.max_slowdown:g} times, or {FAST * 1000:g} ms"
    return Guard("max_slowdown", measured, limit, said)


def _decoded(model: Model, rows: Mapping[str, Sequence[Any]]) -> list[Any]:
    """The first rows as the service decodes them; one that it would not take is left out."""
    found: list[Any] = []
    for number in range(min(len(next(iter(rows.values()))), 10 * ANSWERS)):
        row = {column.name: rows[column.name][number] for column in model.schema.asked}
        try:
            found.append(model.schema.decode(msgspec.json.encode(row)))
        except BadRequest:
            continue
        if len(found) == ANSWERS:
            break
    return found


def _seconds(model: Model, decoded: Sequence[Any]) -> float:
    began = time.process_time()
    for row in decoded:
        model.one(row)
    return (time.process_time() - began) / max(1, len(decoded))
