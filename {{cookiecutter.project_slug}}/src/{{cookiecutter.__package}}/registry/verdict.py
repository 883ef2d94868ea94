"""One page on each verdict of the gate: what decided, and all that was looked at."""

from collections.abc import Sequence
from pathlib import Path

from .. import config, files, paths
from .card import number, span, table
from .gate import Verdict
from .guards import Segment

SHOWN = 15  # segments


def write(name: str, fingerprint: str, gate: config.Gate, verdict: Verdict, at: str) -> Path:
    """Write the page for a model, called `name`; `at` is the moment, ISO 8601 in UTC."""
    moment = at.partition("+")[0].replace("-", "").replace(":", "")
    path = paths.VERDICTS / f"{moment}Z-{fingerprint[:8]}.md"
    files.write_text(path, render(name, fingerprint, gate, verdict, at))
    return path


def render(name: str, fingerprint: str, gate: config.Gate, verdict: Verdict, at: str) -> str:
    """The page as Markdown; its first sentence is the reason in the history."""
    parts = [
        f"# {name}: {_outcome(verdict)}",
        f"{verdict.reason}.",
        f"Rule `{verdict.rule}` decided, {at}, about the model with the fingerprint "
        f"`{fingerprint[:16]}`, on {verdict.rows:,} labelled rows of {_where(verdict)}.",
        "## Metrics",
        _metrics(gate, verdict),
    ]
    if verdict.interval:
        parts.append(
            f"The gain on {gate.metric} is {verdict.interval.gain:+.4f}, {verdict.interval}: what "
            "it would be on other rows like these, by a paired bootstrap. "
            f"More than {gate.min_gain:+.4f} is needed at the lower end."
        )
    if verdict.guards:
        rows = [
            (f"`{one.rule}`", one.measured, one.limit, "no" if one.said else "yes")
            for one in verdict.guards
        ]
        parts += ["## Guards", table(("guard", "measured", "allowed", "holds"), rows)]
    if verdict.segments:
        parts += ["## Segments, the worst first", *_segments(gate, verdict.segments)]
    if verdict.champion is not None or verdict.changes:
        parts += ["## Requests", *_requests(verdict)]
    return "\n\n".join(parts) + "\n"


def _outcome(verdict: Verdict) -> str:
    if verdict.shadowed:
        return "answers unseen first"
    return "promoted" if verdict.promoted else "refused"


def _where(verdict: Verdict) -> str:
    if verdict.partitions:
        return span(verdict.partitions)
    return f"live traffic in {verdict.days} day{'' if verdict.days == 1 else 's'}"


def _metrics(gate: config.Gate, verdict: Verdict) -> str:
    old, base = verdict.champion, verdict.baseline
    sides = [verdict.challenger, *([old] if old is not None else []), base]
    header = ("metric", "challenger", *(["champion"] if old is not None else []), "baseline")
    rows = [
        (
            f"{metric} (decides)" if metric == gate.metric else metric,
            *(number(side[metric]) if metric in side else "-" for side in sides),
        )
        for metric in verdict.challenger
    ]
    return table(header, rows)


def _segments(gate: config.Gate, found: Sequence[Segment]) -> list[str]:
    rows = [
        (
            one.name,
            f"{one.rows:,}",
            number(one.challenger),
            number(one.champion),
            f"{one.gain:+.4f}",
            f"{one.share:+.1%}",
        )
        for one in found[:SHOWN]
    ]
    header = ("segment", "rows", "challenger", "champion", "gain", "of the champion's")
    parts = [
        f"By {gate.metric}, each with {gate.segment_rows:,} rows or more"
        + (f"; {len(found) - SHOWN} better ones are left out." if len(found) > SHOWN else "."),
        table(header, rows),
    ]
    doubtful = [f"- {one.name}: {one.interval}" for one in found if one.interval]
    if doubtful:
        parts.append("Gains of the ones that lose more than allowed:\n\n" + "\n".join(doubtful))
    return parts


def _requests(verdict: Verdict) -> list[str]:
    if not verdict.changes:
        return ["Requests stay as they are."]
    return [
        "Callers must change their requests; the service takes the model over at a restart only.",
        "\n".join(f"- the model {change}" for change in verdict.changes),
    ]
