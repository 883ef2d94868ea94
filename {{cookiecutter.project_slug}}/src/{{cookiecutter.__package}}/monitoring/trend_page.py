"""The trend page's HTML: everything is in it, and it needs no script.

Its policy allows no style but its own, by checksum, so that it looks the same wherever it is shown.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

import msgspec

from .. import config
from ..serving import bundle
from ..serving.bundle import Manifest
from .chart import Chart, Dot, Mark
from .performance import Performance
from .timeline import DAYS, Point, Timeline, between

WIDTHS = {"wide": (1120, 230), "narrow": (380, 230)}  # of a chart, and its height
EVENTS = {
    "promoted": "promoted",
    "refused": "refused by the gate",
    "rolled_back": "in service again, by rollback",
}
SIGNS = {"promoted": "v{}", "refused": "\u2715", "rolled_back": "\u21a9v{}"}
NOTHING = "\u2013"


class Run(msgspec.Struct, frozen=True):
    """What a run of the monitor saw; `share` is None where there was too little to compare."""

    at: str
    version: int
    status: str
    rows: int
    drift: dict[str, float] = {}
    share: float | None = None


def render(
    manifest: Manifest,
    versions: Mapping[int, Manifest],
    timeline: Timeline,
    runs: list[Run],
    history: list[dict[str, Any]],
    at: str,
) -> str:
    """The page as HTML."""
    view = View(timeline, runs, history)
    gate = config.read("gate", config.Gate)
    names = dict.fromkeys((gate.metric, gate.guard_metric))
    cards = [view.metric(name, manifest.target) for name in names]
    cards += [view.drift(), view.answers(), view.events(), view.numbers(list(names))]
    style = "".join(
        files(package).joinpath(name).read_text(encoding="utf-8")
        for package, name in ((bundle.__package__, "page.css"), (__package__, "trend.css"))
    )
    allowed = b64encode(sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{allowed}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    title = f"{escape(manifest.name)}: trend"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<title>{title}</title>\n<link rel="icon" href="data:,">\n<style>{style}</style>\n'
        f"</head>\n<body>\n<header>\n<h1>{title}</h1>\n<p>{view.axis()}</p>\n"
        f'<p class="quiet">Made {_moment(at)} UTC, when version {manifest.version} was in service. '
        f"Versions: {', '.join(map(str, sorted(versions)))}.</p>\n</header>\n<main>\n"
        f"{''.join(cards)}</main>\n</body>\n</html>\n"
    )


class View:
    """The parts of the page, on one axis."""

    def __init__(self, timeline: Timeline, runs: list[Run], history: list[dict[str, Any]]) -> None:
        monitoring = config.read("monitoring", config.Monitoring)
        self._min_rows, self._drift_share = monitoring.min_rows, monitoring.drift_share
        self._timeline = timeline
        self._history = [line for line in history if {"at", "event"} <= line.keys()]
        by_period = {timeline.period(run.at): run for run in runs if run.share is not None}
        self._runs = by_period  # the last one of each period
        happened = [timeline.period(line["at"]) for line in self._history]
        self._periods = _joined(timeline, [*by_period, *happened])
        self._places = {period: place for place, period in enumerate(self._periods)}
        self._labels = [_label(period) for period in self._periods]
        self._marks = [
            Mark(self._places[period], _sign(line), line["event"])
            for period, line in zip(happened, self._history, strict=True)
            if period in self._places
        ]

    def axis(self) -> str:
        """What the axis of time is."""
        unit, column = self._timeline.unit, self._timeline.column
        ends = f"{_named(self._periods[0])} to {_named(self._periods[-1])}" if self._periods else ""
        if not column:
            return f"By {unit} (UTC) of the answer, {ends}."
        return (
            f"By {unit} of <b>{escape(column)}</b>, the rows' own time, {ends}: they were sent "
            "later, in their order. What happened to the model stands where they had come to then."
        )

    def metric(self, name: str, target: str) -> str:
        """A metric of the labelled answers beside its value at release."""
        words = _words(name)
        dots, versions = [], sorted({point.version for point in self._timeline.points})
        for point in self._timeline.points:
            found = next((one for one in point.metrics if one.metric == name), None)
            if found is None or point.period not in self._places:
                continue
            told = (
                f"{_label(point.period)}, version {point.version}: {found.value:.4g} "
                f"({found.low:.4g} to {found.high:.4g}), {found.reference:.4g} at release, "
                f"{point.rows:,} labelled answers"
            )
            dots.append(
                Dot(
                    self._places[point.period],
                    found.value,
                    told,
                    self._kind(point, found),
                    (found.low, found.high),
                    found.reference,
                    versions.index(point.version),
                )
            )
        if not dots:
            return _card(words, "", "No value yet: too few labels have arrived.")
        legend = (
            "Dot and bar: answers with a known label, and the 98% interval of their value "
            "(jackknife over stretches of time). Thick tick: the same metric at the release of the "
            "version that answered. Red: worse by more than <code>max_loss</code> and noise. "
            f"Hollow: fewer than {self._min_rows:,} labels, so not judged. What leaves the picture "
            "is cut off."
        )
        return _card(f"{words} of {target}", self._draw("dots", dots), legend, dots[-1].told)

    def _kind(self, point: Point, found: Performance) -> str:
        if point.rows < self._min_rows:
            return "none"
        return "bad" if found.worse else "good"

    def drift(self) -> str:
        """The share of importance that has drifted, as the monitor saw it."""
        dots = []
        for period, run in sorted(self._runs.items()):
            if period in self._places and run.share is not None:
                columns = ", ".join(f"{n} {d:.2f}" for n, d in list(run.drift.items())[:3])
                told = f"{_label(period)}, version {run.version}: {run.share:.0%}, {run.status}"
                kind = "good" if run.status == "ok" else "bad"
                told += f"; most of all {columns}" if columns else ""
                dots.append(Dot(self._places[period], 100 * run.share, told, kind))
        heading = "Drift of the traffic, % of the columns by importance"
        if not dots:
            return _card(heading, "", "The monitor has not seen enough traffic to compare yet.")
        legend = (
            "What the last look of the monitor in a period found, over the days it looks at. "
            "Red: an alarm of any kind; dashed: the share that is one by itself."
        )
        chart = self._draw("dots", dots, limit=100 * self._drift_share)
        return _card(heading, chart, legend, dots[-1].told)

    def answers(self) -> str:
        """How many answers were given."""
        counted = self._timeline.answers
        bars = [
            (place, counted[period], f"{label}: {counted[period]:,} answers")
            for (period, place), label in zip(self._places.items(), self._labels, strict=True)
            if counted.get(period)
        ]
        if not bars:
            return _card("Answers", "", "No answers are in the log yet.")
        about = "" if self._timeline.share == 1 or not self._timeline.column else "About, for "
        told = f"{sum(value for _, value, _ in bars):,} answers in all."
        return _card("Answers", self._draw("bars", bars), "", f"{about}{told}")

    def events(self) -> str:
        """What happened to the model, the newest first."""
        rows = []
        for line in reversed(self._history):
            version = f"version {line['version']}" if line.get("version") else "a candidate"
            event = EVENTS.get(line["event"], line["event"].replace("_", " "))
            sign = escape(_sign(line))
            told = f"{version} {event}: {line.get('reason', '')}"
            rows.append((_moment(line["at"]), sign, escape(told)))
        if not rows:
            return _card("What happened to the model", "", "Nothing yet.")
        table = _table(("When (UTC)", "Mark", "What"), rows, text=2)
        return _card("What happened to the model", table, "")

    def numbers(self, names: list[str]) -> str:
        """All numbers as a table."""
        points = {(point.period, point.version): point for point in self._timeline.points}
        rows = []
        for period in reversed(self._periods):
            here = [point for (when, _), point in sorted(points.items()) if when == period]
            run = self._runs.get(period)
            count = self._timeline.answers.get(period, 0)
            if not (here or run or count):
                continue
            drift = f"{run.share:.0%}, {run.status}" if run and run.share is not None else NOTHING
            for number, point in enumerate(here or [None]):
                cells = [period, f"{point.version}" if point else NOTHING]
                cells.append("" if number else f"{count:,}")
                cells.append(f"{point.rows:,}" if point else "0")
                cells += [_cell(point, name) for name in names]
                rows.append((*map(escape, cells), "" if number else escape(drift)))
        heads = [self._timeline.unit.capitalize(), "Version", "Answers", "Labelled"]
        heads += [f"{_words(name)} (interval; at release)" for name in names]
        table = _table((*map(escape, heads), "Drift"), rows)
        return (
            '<section class="card"><details><summary>All numbers as a table</summary>'
            f"{table}</details></section>\n"
        )

    def _draw(self, how: str, values: Any, **more: float) -> str:
        drawn = []
        for name, (width, height) in WIDTHS.items():
            chart = Chart(self._labels, self._marks, width, height)
            drawn.append(f'<div class="{name}">{getattr(chart, how)(values, **more)}</div>')
        return "".join(drawn)


def _joined(timeline: Timeline, others: list[str]) -> list[str]:
    """The periods of the axis, and those of what else happened beside it."""
    found = sorted({*timeline.periods, *others, *(point.period for point in timeline.points)})
    return between(found[0], found[-1], timeline.unit)[-DAYS:] if found else []


def _card(heading: str, body: str, legend: str, told: str = "") -> str:
    parts = [f"<h2>{escape(heading[:1].upper() + heading[1:])}</h2>"]
    parts += [f"<p>{escape(told)}</p>"] * bool(told) + [body]
    parts += [f'<p class="quiet">{legend}</p>'] * bool(legend)
    return f'<section class="card">{"".join(parts)}</section>\n'


def _table(heads: Sequence[str], rows: Sequence[tuple[str, ...]], text: int = -1) -> str:
    head = "".join(f'<th scope="col">{one}</th>' for one in heads)
    lines = []
    for first, *cells in rows:
        made = (
            f'<td class="text">{cell}</td>' if place == text else f"<td>{cell}</td>"
            for place, cell in enumerate(cells, 1)
        )
        lines.append(f'<tr><th scope="row">{first}</th>{"".join(made)}</tr>')
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(point: Point | None, name: str) -> str:
    found = next((one for one in point.metrics if one.metric == name), None) if point else None
    if found is None:
        return NOTHING
    return f"{found.value:.4g} ({found.low:.4g} to {found.high:.4g}; {found.reference:.4g})"


def _sign(line: dict[str, Any]) -> str:
    return SIGNS.get(line["event"], "•").format(line.get("version"))


def _label(period: str) -> str:
    if len(period) == 7:
        return date.fromisoformat(f"{period}-01").strftime("%b %Y")
    day = date.fromisoformat(period)
    return f"{day.day} {day:%b}"


def _named(period: str) -> str:
    return _label(period) + (f" {period[:4]}" if len(period) > 7 else "")


def _moment(at: str) -> str:
    return f'<time datetime="{escape(at)}">{escape(at[:16].replace("T", " "))}</time>'


def _words(name: str) -> str:
    return name.replace("_", " ").replace("roc auc", "ROC AUC").replace("rmse", "RMSE")
