"""Two samples of a table compared: which columns have drifted, which look broken, and why.

What counts as much is learnt from the reference: how far windows of it, as long as the current
one, lie from the rest of it. So a column that has its seasons may have another one; a column that
never moved may not.
"""

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from .. import config
from .distance import STATISTICS, Array, Column, Statistic, chance, measure, novel, vanished

if TYPE_CHECKING:
    import pandas as pd

Rows = NDArray[np.bool_]
WINDOWS = 10
FEWEST = 50  # rows in a window, and beside it, that say anything
STUCK = (
    0.2  # more rows than usual with one value, at least: such a share is ordinary drift below it
)
FAR = 2.0  # times the distance that is usual: a column looks broken by its distance alone
UNUSUAL = 3.0  # times what the reference's windows show, for a share to be out of the ordinary
ALWAYS = 0.95  # of the rows have one number above the other: a relation worth watching
MOST_PAIRED = 20  # columns of which all pairs are tried


class Finding(msgspec.Struct, frozen=True):
    """What is known of one column: its distance, and why it looks broken (empty: it does not).

    `size` is the value of the `statistic` that `fault` speaks of. `drifted` columns lie
    farther from the reference than windows of it and chance do.
    """

    column: str
    importance: float
    distance: float
    drifted: bool
    fault: str = ""
    statistic: Statistic | Literal["swapped", ""] = ""
    size: float = 0.0


class Comparison(msgspec.Struct, frozen=True):
    """All columns, those first that matter most; `share` of the importance has drifted."""

    findings: list[Finding]
    share: float

    @property
    def broken(self) -> list[Finding]:
        """The columns that look broken."""
        return [finding for finding in self.findings if finding.fault]

    @property
    def moved(self) -> list[Finding]:
        """The columns that have drifted, broken or not."""
        return [one for one in self.findings if one.drifted]

    @property
    def drifted(self) -> list[Finding]:
        """The columns that have drifted and do not look broken."""
        return [one for one in self.findings if one.drifted and not one.fault]


def compare(
    reference: "pd.DataFrame",
    current: "pd.DataFrame",
    numeric: Mapping[str, bool],
    importance: Mapping[str, float],
    time: str | None,
    limits: config.Monitoring,
) -> Comparison:
    """Compare the columns that `numeric` tells the kind of.

    `importance` tells how much the model makes of each input, in any unit; the prediction has none
    and does not count for `share`. `time` names a column of both samples by which the reference is
    cut into windows.
    """
    importance = {name: importance[name] for name in numeric if name in importance}
    if not any(importance.values()):  # a model that makes nothing of anything
        importance = dict.fromkeys(importance, 1.0)
    windows = cut(reference, current, time)
    alpha = limits.false_alarms / (len(numeric) * len(STATISTICS))

    def look(name: str, column: Column) -> Finding:
        return _look(name, column, windows, alpha, importance.get(name, 0.0), limits)

    findings = {
        name: look(name, Column(reference[name], current[name], is_number))
        for name, is_number in numeric.items()
    }
    for first, second in _swapped(reference, current, numeric, findings, look):
        for name, other in ((first, second), (second, first)):
            fault = f"swapped with {other}, it seems"
            findings[name] = msgspec.structs.replace(
                findings[name], drifted=True, fault=fault, statistic="swapped", size=1.0
            )
    total = sum(importance.values()) or 1.0
    moved = sum(importance.get(one.column, 0.0) for one in findings.values() if one.drifted)
    # A column that the model hardly uses still counts: half as much as an average one.
    least = 0.5 / max(1, len(importance))
    ordered = sorted(
        findings.values(),
        key=lambda one: (
            not one.fault,
            one.column not in importance,  # the prediction only shows what the inputs do
            one.statistic == "distance",
            -(one.size or one.distance) * (one.importance / total + least),
        ),
    )
    return Comparison(ordered, moved / total)


def cut(reference: "pd.DataFrame", current: "pd.DataFrame", time: str | None) -> list[Rows]:
    """Rows of the reference in windows as long as the current sample, at most a third of it all.

    No window when there is no time in both.
    """
    if time is None or time not in reference or time not in current:
        return []
    ours, theirs = moments(reference[time]), moments(current[time])
    if len(theirs := theirs[~np.isnan(theirs)]) < 2 or np.isnan(ours).all():
        return []
    first, last = float(np.nanmin(ours)), float(np.nanmax(ours))
    span = min(float(np.ptp(theirs)), (last - first) / 3)
    starts = np.linspace(first, last - span, WINDOWS)
    found = [(ours >= start) & (ours <= start + span) for start in starts]
    return [rows for rows in found if FEWEST <= rows.sum() <= len(rows) - FEWEST]


def moments(times: "pd.Series[Any]") -> NDArray[np.float64]:
    """Times as numbers, NaN where there is none."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(times):
        return np.asarray(times, np.float64)
    found = pd.to_datetime(times, errors="coerce", utc=True, format="mixed")
    return np.asarray((found - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), np.float64)


def _look(
    name: str,
    column: Column,
    windows: list[Rows],
    alpha: float,
    importance: float,
    limits: config.Monitoring,
) -> Finding:
    reference, current = column.sides()
    found = measure(reference, current, column.numbers)
    noise = chance(reference, current, column.numbers, alpha)
    usual = dict.fromkeys(STATISTICS, 0.0)
    for rows in windows:
        inner = measure(*column.inner(rows), column.numbers)
        usual = {statistic: max(inner[statistic], usual[statistic]) for statistic in STATISTICS}
    least = max(limits.min_distance, noise["distance"])
    drifted = found["distance"] > max(least, usual["distance"])
    over = {
        statistic: max(limits.min_share, noise[statistic], UNUSUAL * usual[statistic])
        for statistic in STATISTICS
    }
    over["stuck"] = max(STUCK, over["stuck"])
    over["distance"] = max(least, FAR * (usual["distance"] if windows else least))
    for statistic in STATISTICS:
        if (size := found[statistic]) > over[statistic]:
            fault = _told(statistic, column, found)
            return Finding(name, importance, found["distance"], True, fault, statistic, size)
    return Finding(name, importance, found["distance"], drifted)


def _told(statistic: Statistic, column: Column, found: Mapping[Statistic, float]) -> str:
    """A clause on what is out of the ordinary."""
    reference, current = column.sides()
    values, size = column.values, found[statistic]
    if statistic == "missing":
        usual = reference.missing / reference.rows
        return f"missing in {current.missing / current.rows:.0%} of rows, usually in {usual:.0%}"
    if statistic == "unseen":
        new = novel(reference, column.numbers)
        example = values[np.argmax(np.where(new, current.counts, -1))]
        return f"{size:.0%} of rows hold values never seen, most often {_shown(example)}"
    if statistic == "outside":
        there = np.flatnonzero(reference.counts)
        low, high = values[there[0]], values[there[-1]]
        return f"{size:.0%} of rows lie far outside the usual {low:g} to {high:g}"
    if statistic == "stuck":
        value = values[np.argmax(current.counts / current.rows - reference.counts / reference.rows)]
        share = current.counts.max() / current.rows
        return f"{share:.0%} of rows hold the one value {_shown(value)}"
    if statistic == "vanished":
        gone = vanished(reference, current, column.numbers)
        value = values[np.argmax(np.where(gone, reference.counts, -1))]
        return f"{_shown(value)}, usually in {size:.0%} of rows, has vanished"
    return f"distributed quite otherwise, at a distance of {size:.2f}"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value!r:.40}"


def _swapped(
    reference: "pd.DataFrame",
    current: "pd.DataFrame",
    numeric: Mapping[str, bool],
    findings: Mapping[str, Finding],
    look: Callable[[str, Column], Finding],
) -> list[tuple[str, str]]:
    """Pairs of columns each of which looks like the other one's reference."""
    farthest = sorted(findings.values(), key=lambda one: (bool(one.fault), one.distance))
    moved = [one.column for one in farthest if one.drifted][-MOST_PAIRED:]
    pairs = {pair for pair in combinations(moved, 2) if numeric[pair[0]] == numeric[pair[1]]}
    numbers = [name for name, is_number in numeric.items() if is_number]
    turned = set(_turned(reference[numbers], current[numbers]))
    found = []
    for first, second in sorted(pairs | turned):
        crossed = [
            look(ours, Column(reference[ours], current[theirs], numeric[ours]))
            for ours, theirs in ((first, second), (second, first))
        ]
        if any(one.fault for one in crossed):
            continue
        apart = findings[first].distance + findings[second].distance
        if (first, second) in turned or sum(one.distance for one in crossed) < apart / 2:
            found.append((first, second))
    return found


def _turned(reference: "pd.DataFrame", current: "pd.DataFrame") -> list[tuple[str, str]]:
    """Pairs of numbers of which one is nearly always above the other, and no longer."""
    ours, theirs = (side.to_numpy(np.float64).T for side in (reference, current))
    found = []
    for i, j in combinations(range(len(ours)), 2):
        before, now = above(ours[i], ours[j]), above(theirs[i], theirs[j])
        if max(before, 1 - before) >= ALWAYS and abs(before - now) >= 0.5:
            found.append((reference.columns[i], reference.columns[j]))
    return found


def above(first: Array, second: Array) -> float:
    """The share of rows with both numbers in which the first is larger; equal ones count half."""
    known = ~(np.isnan(first) | np.isnan(second))
    rows = int(known.sum())
    larger = float((first > second)[known].sum()) + float((first == second)[known].sum()) / 2
    return larger / rows if rows else 0.5
