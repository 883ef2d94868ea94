"""Charts over time as SVG: no script, no font and no colour of their own, see trend.css."""

import math
from collections.abc import Callable, Sequence
from html import escape

import msgspec

TOP, BOTTOM, RIGHT = 8, 26, 12  # units around the plot
LETTER = 6.8  # width of one, about
ROW = 15  # height of a line of text


class Dot(msgspec.Struct, frozen=True):
    """A value at a place of the axis, its interval, and the value to compare it with, if any."""

    place: int
    value: float
    told: str
    kind: str = "good"
    interval: tuple[float, float] | None = None
    reference: float | None = None
    series: int = 0


class Mark(msgspec.Struct, frozen=True):
    """Something that happened at a place of the axis; `text` is short."""

    place: int
    text: str
    kind: str


class Chart:
    """One chart; `labels` are those of the places of its axis, from left to right."""

    def __init__(self, labels: Sequence[str], marks: Sequence[Mark], width: int, height: int):
        self._labels = labels
        self._width, self._height = width, height
        self._left = 52.0
        self._step = (width - self._left - RIGHT) / max(1, len(labels))
        # Before the middle of its place, where the values stand.
        self._flags = _flags(marks, lambda place: self._x(place - 0.3), width)
        self._rows = max((row for *_, row in self._flags), default=-1) + 1
        self._top = TOP + ROW * self._rows + (4 if self._rows else 0)
        self._parts: list[str] = []

    def dots(self, dots: Sequence[Dot], limit: float | None = None) -> str:
        """Values with their intervals; with a limit, a line across, the axis begins at 0."""
        shown = [value for dot in dots for value in (dot.value, dot.reference) if value is not None]
        ends = [end for dot in dots for end in dot.interval or ()]
        if limit is None:
            self._axes(*_span(shown, ends))
        else:
            self._axes(0.0, max(*shown, limit))
            y = self._y(limit)
            self._parts.append(_line("limit", self._left, y, self._width - RIGHT, y))
        shared = {dot.place: [one for one in dots if one.place == dot.place] for dot in dots}

        def beside(dot: Dot) -> float:
            """The dots of one place stand side by side."""
            here = shared[dot.place]
            return self._x(dot.place + (here.index(dot) - (len(here) - 1) / 2) * 0.25)

        for series in sorted({dot.series for dot in dots}):
            path = [dot for dot in dots if dot.series == series]
            points = " ".join(f"{beside(dot):.1f},{self._y(dot.value):.1f}" for dot in path)
            self._parts.append(f'<polyline class="path" points="{points}"/>')
        half = min(9.0, self._step * 0.4)
        for dot in dots:
            x = beside(dot)
            if dot.reference is not None:
                y = self._y(dot.reference)
                self._parts.append(_line("release", x - half, y, x + half, y))
            if dot.interval:
                low_y, high_y = (self._y(end) for end in dot.interval)
                self._parts.append(_line(f"whisker {dot.kind}", x, low_y, x, high_y))
            y, size = self._y(dot.value), min(4.0, 1.5 + self._step / 6)
            self._parts.append(
                f'<circle class="dot {dot.kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}">'
                f"<title>{escape(dot.told)}</title></circle>"
            )
        return self._svg()

    def bars(self, values: Sequence[tuple[int, float, str]]) -> str:
        """A bar for each place, its value and what is told of it."""
        self._axes(0.0, max((value for _, value, _ in values), default=1.0) or 1.0)
        wide = max(1.5, self._step * 0.7)
        for place, value, told in values:
            y, foot = self._y(value), self._y(0.0)
            self._parts.append(
                f'<rect class="column" x="{self._x(place) - wide / 2:.1f}" y="{y:.1f}" '
                f'width="{wide:.1f}" height="{max(0.0, foot - y):.1f}">'
                f"<title>{escape(told)}</title></rect>"
            )
        return self._svg()

    def _x(self, place: float) -> float:
        return self._left + (place + 0.5) * self._step

    def _y(self, value: float) -> float:
        inside = min(max(value, self._low), self._high)
        share = (inside - self._low) / (self._high - self._low)
        return self._height - BOTTOM - share * (self._height - BOTTOM - self._top)

    def _axes(self, low: float, high: float) -> None:
        step = _step((high - low) / 3.5)
        self._low = math.floor(low / step + 1e-9) * step
        self._high = math.ceil(high / step - 1e-9) * step
        for number in range(round((self._high - self._low) / step) + 1):
            value = self._low + number * step
            y = self._y(value)
            self._parts.append(_line("grid", self._left, y, self._width - RIGHT, y))
            self._parts.append(_text("end", self._left - 6, y + 4, _number(value, step)))
        widest = max((len(label) for label in self._labels), default=1) * LETTER + 14
        every = max(1, math.ceil(widest / self._step))
        for place in range(0, len(self._labels), every):
            x = self._x(place)
            if x + widest / 2 - 7 <= self._width:
                self._parts.append(_text("middle", x, self._height - 8, self._labels[place]))
        for kind, text, x, left, row in self._flags:
            y = TOP + ROW * row + 10
            self._parts.append(_line(f"event {kind}", x, y + 3, x, self._height - BOTTOM))
            self._parts.append(_text("start", left, y, text, f"flag {kind}"))

    def _svg(self) -> str:
        return (
            f'<svg viewBox="0 0 {self._width} {self._height}" aria-hidden="true">'
            f"{''.join(self._parts)}</svg>"
        )


def _flags(
    marks: Sequence[Mark], x_of: Callable[[int], float], width: int
) -> list[tuple[str, str, float, float, int]]:
    """Kind, text, x of the line, x of the text, and row of each flag; none covers another."""
    ends: list[float] = []
    found = []
    for place in sorted({mark.place for mark in marks}):
        here = [mark for mark in marks if mark.place == place]
        texts = [mark.text for mark in here]
        text = " ".join(texts if len(texts) < 4 else [*texts[:2], f"+{len(texts) - 2}"])
        kinds = {mark.kind for mark in here}
        kind = next((one for one in ("rolled_back", "promoted") if one in kinds), here[0].kind)
        wide, x = len(text) * LETTER, x_of(place)
        left = min(max(x - wide / 2, 2.0), width - wide - 2)
        row = next((row for row, end in enumerate(ends) if end + 6 < left), len(ends))
        ends[row : row + 1] = [left + wide]
        found.append((kind, text, x, left, row))
    return found


def _span(values: Sequence[float], ends: Sequence[float]) -> tuple[float, float]:
    """From where to where an axis reaches: over all values, and the intervals that are not huge."""
    low, high = min(values), max(values)
    room = max(high - low, 0.02 * max(abs(low), abs(high)), 1e-6)
    near = [end for end in ends if low - room <= end <= high + room]
    return min([low, *near]), max([high, *near, low + room / 4])


def _step(rough: float) -> float:
    """A round number, about this."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * size for size in (1, 2, 2.5, 5, 10) if power * size >= rough * 0.999)


def _number(value: float, step: float) -> str:
    if abs(value) < step / 2:
        return "0"
    if step >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    if step >= 1000:
        return f"{value / 1000:g}k"
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step * 10**places, 6) % 1:
        places += 1
    return f"{value:.{places}f}".replace("-", "\u2212")


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(anchor: str, x: float, y: float, text: str, kind: str = "tick") -> str:
    return (
        f'<text class="{kind}" text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
    )
