"""What the monitor saw, and the status that follows from it."""

from typing import Literal

import msgspec

from .. import config
from .comparison import Comparison, Finding
from .performance import Performance

Status = Literal["ok", "drift", "degraded", "insufficient_data", "schema_error"]
CODES: dict[Status, int] = {
    "ok": 0,
    "drift": 10,
    "degraded": 11,
    "insufficient_data": 12,
    "schema_error": 13,
}
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
