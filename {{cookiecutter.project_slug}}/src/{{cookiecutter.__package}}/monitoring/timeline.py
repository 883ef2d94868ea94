"""When was what answered, and how well: the points of the trend page, by day or by month.

Labels come late, so the points of the last months are looked at in every run, on a bounded sample;
what lies further back is kept as it was found then.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from .. import config, files, paths, tasks
from ..serving.bundle import Manifest
from . import labels
from .answered import Answered
from .performance import Performance, at_release, judge

Floats = NDArray[np.float64]
KEPT = "trend.json"  # below var/monitoring/; made anew where it is missing
HORIZON = 400  # days of the log that are looked at again
DAYS = 60  # of a longer time months are shown, the last so many
FEWEST = 30  # labelled answers that give a value
ROWS = 5000  # labelled answers of a point, at most
GROUPS = 12  # stretches of time that a point's interval is made of
FAR = 7 * 86400  # seconds between an answer and its row's time, from which on it was replayed
IN_ORDER = 0.9  # rank correlation


class Point(msgspec.Struct, frozen=True):
    """Labelled answers of one version in one period, and the metrics of these."""

    period: str
    version: int
    rows: int
    metrics: list[Performance]
    made_of: str


class Timeline(msgspec.Struct, frozen=True):
    """What is known by period: points, answers, and where moments of the clock lie.

    `column` names the row's own time where that orders the periods, and is empty where the time of
    the answer does. `periods` has no gaps.
    """

    unit: Literal["day", "month"]
    column: str
    periods: list[str]
    points: list[Point]
    answers: dict[str, int]
    share: float
    _clock: tuple[Floats, Floats]

    def period(self, at: str) -> str:
        """The period of a moment (ISO 8601): on rows' own time, how far these had come by then."""
        moment = datetime.fromisoformat(at).timestamp()
        clock, own = self._clock
        if self.column:
            moment = float(own[max(0, int(np.searchsorted(clock, moment, "right")) - 1)])
        return named(moment, self.unit)


def look(log: Answered, manifest: Manifest, versions: Mapping[int, Manifest]) -> Timeline:
    """Look at the answers of some versions of one table; `manifest` is the champion's."""
    since = int((datetime.now(UTC) - timedelta(days=HORIZON)).timestamp() * 1000)
    labels.join(log, manifest, versions, since)
    found = log.connection.execute(
        'SELECT epoch_ms("at") / 1000 AS clock, version, label, answer, '
        'epoch_ms(TRY_CAST(time AS TIMESTAMP)) / 1000 AS own FROM known ORDER BY "at", name'
    ).fetchnumpy()
    clock, own, truth = (
        np.ma.filled(np.ma.asarray(found[name], np.float64), np.nan)
        for name in ("clock", "own", "label")
    )
    replayed = is_replayed(clock, own)
    parts = [part for part in log.parts() if part.version in versions]
    if replayed:
        when = own = np.where(np.isnan(own), np.nanmin(own), own)
        first, last = float(own.min()), float(own.max())
    else:
        when = clock
        first = min((part.first for part in parts), default=0) / 1000
        last = max((part.last for part in parts), default=0) / 1000
    unit: Literal["day", "month"] = "day" if last - first < DAYS * 86400 else "month"
    names = np.datetime_as_string(when.astype("datetime64[s]"), "D" if unit == "day" else "M")
    share = log.share(labels.ROWS, versions, since)
    if replayed:
        counted = Counter({name: round(n / share) for name, n in Counter(names.tolist()).items()})
    else:
        counted = Counter()
        for part in parts:
            counted[part.day if unit == "day" else part.day[:7]] += part.rows
    known = ~np.isnan(truth)
    answer = found["answer"]
    kept, numbers = _kept(), found["version"]
    points = _points(names[known], numbers[known], truth[known], answer[known], versions, kept)
    return Timeline(
        unit=unit,
        column=str(manifest.time) if replayed else "",
        periods=between(named(first, unit), named(last, unit), unit) if parts else [],
        points=_with_kept(points, kept, unit, versions),
        answers=dict(counted),
        share=share,
        _clock=(clock, np.maximum.accumulate(own) if len(own) else own),
    )


def is_replayed(clock: Floats, own: Floats) -> bool:
    """Whether rows of another time were sent in their order, as `make replay` does.

    Then the answers say little by the time at which they were given, and the rows' own time counts.
    """
    known = ~np.isnan(own)
    if known.sum() < max(FEWEST, 0.9 * len(own)):
        return False
    clock, own = clock[known], own[known]
    if np.median(np.abs(clock - own)) < FAR or not np.ptp(own):
        return False
    ranks = np.array([np.argsort(np.argsort(side, kind="stable")) for side in (clock, own)])
    return bool(np.corrcoef(ranks)[0, 1] > IN_ORDER)


def named(moment: float, unit: str) -> str:
    """The day or month (UTC) of a moment in seconds since 1970."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d" if unit == "day" else "%Y-%m")


def between(first: str, last: str, unit: str) -> list[str]:
    """All periods from one to another, both included."""
    day, end = (date.fromisoformat(f"{name}-01"[:10]) for name in (first, last))
    found: dict[str, None] = {}
    while day <= end:
        found[day.isoformat()[: 10 if unit == "day" else 7]] = None
        day += timedelta(days=1)
    return list(found)


def _points(
    periods: NDArray[Any],
    version: NDArray[Any],
    truth: Floats,
    answer: NDArray[Any],
    versions: Mapping[int, Manifest],
    before: list[Point],
) -> list[Point]:
    kept = {(point.period, point.version): point for point in before}
    found = []
    order = np.lexsort((version, periods))
    edges = [
        place
        for place in range(len(order) + 1)
        if place in (0, len(order))
        or (periods[order[place]], version[order[place]])
        != (periods[order[place - 1]], version[order[place - 1]])
    ]
    for start, end in pairwise(edges):
        rows = np.sort(order[start:end])
        chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), ROWS)).astype(int)]
        period, number = str(periods[rows[0]]), int(version[rows[0]])
        made_of = _digest(len(rows), truth[chosen], answer[chosen])
        old = kept.get((period, number))
        if old and old.made_of == made_of:
            found.append(old)
            continue
        metrics = _metrics(truth[chosen], answer[chosen], versions[number])
        found.append(Point(period, number, len(rows), metrics, made_of))
    return found


def _metrics(truth: Floats, answer: NDArray[Any], manifest: Manifest) -> list[Performance]:
    """The gate's two metrics, those that these labels define."""
    if len(truth) < FEWEST:
        return []
    gate, own = config.read("gate", config.Gate), config.read("evaluate", config.Evaluate).metrics
    task = tasks.Task(manifest.task, manifest.classes, own)
    released = at_release(manifest.metrics, gate)

    def score(labels: NDArray[Any], predictions: NDArray[Any]) -> dict[str, float]:
        found = {name: task.measure(name, labels, predictions) for name in released}
        return {name: value for name, value in found.items() if np.isfinite(value)}

    monitoring = config.read("monitoring", config.Monitoring)
    stacked = np.array(answer.tolist())
    return judge(
        truth, stacked, score, released, task.higher_is_better, monitoring.max_loss, GROUPS
    )


def _digest(rows: int, truth: Floats, answer: NDArray[Any]) -> str:
    settings = config.read("gate", config.Gate), config.read("monitoring", config.Monitoring)
    text = msgspec.json.encode(
        (rows, settings[0].metric, settings[0].guard_metric, settings[1].max_loss)
    )
    values = np.array(answer.tolist(), np.float64).tobytes()
    return hashlib.sha256(text + truth.tobytes() + values).hexdigest()[:16]


def _kept() -> list[Point]:
    path = paths.MONITORING / KEPT
    return msgspec.convert(files.read_json(path), list[Point]) if path.exists() else []


def _with_kept(
    points: list[Point], before: list[Point], unit: str, versions: Collection[int]
) -> list[Point]:
    """The points, with those of before the horizon as they were found once; all are kept."""
    width = 10 if unit == "day" else 7
    first = min((point.period for point in points), default="9999")
    found = {(point.period, point.version): point for point in points}
    for old in before:
        if len(old.period) != width or old.period > first or old.version not in versions:
            continue
        now = found.get((old.period, old.version))
        if now is None or now.rows < old.rows:  # part of this period lies beyond the horizon
            found[old.period, old.version] = old
    kept = [found[name] for name in sorted(found)]
    files.write_json(paths.MONITORING / KEPT, msgspec.to_builtins(kept))
    return kept
