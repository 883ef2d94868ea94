"""The charts' geometry: nothing lies outside of the picture or over something else."""

import re
from datetime import date, timedelta
from itertools import pairwise

import pytest

from {{ cookiecutter.__package }}.monitoring.chart import LETTER, Chart, Dot, Mark

DAYS = [f"{date(2024, 1, 1) + timedelta(days=n):%d %b}" for n in range(60)]


def texts(svg: str, kind: str) -> list[tuple[float, float, str]]:
    """x, y and text of the texts of one class."""
    found = re.findall(rf'<text class="{kind}[^>]* x="([^"]*)" y="([^"]*)">([^<]*)<', svg)
    return [(float(x), float(y), text) for x, y, text in found]


@pytest.mark.parametrize("width", [380, 1120])
@pytest.mark.parametrize("count", [1, 2, 7, 31, 60])
def test_labels_do_not_cover_each_other(width: int, count: int) -> None:
    marks = [Mark(n, f"v{n}", "promoted") for n in range(count)] + [Mark(0, "x", "refused")]
    svg = Chart(DAYS[:count], marks, width, 230).bars([(n, 5.0, "") for n in range(count)])
    below = [(x, text) for x, y, text in texts(svg, "tick") if y > 210]
    assert below[0][1] == DAYS[0]
    for (x, text), (after, _) in pairwise(below):
        assert x + len(text) * LETTER / 2 < after - len(text) * LETTER / 2
    flags = texts(svg, "flag")
    assert len(flags) == count
    boxes = [(y, x, x + len(text) * LETTER) for x, y, text in flags]
    for row, left, right in boxes:
        assert 0 < left < right < width
        others = [box for box in boxes if box[0] == row and box[1] > left]
        assert all(right < other for _, other, _ in others)


def test_of_many_marks_in_one_place_the_first_are_told_and_the_others_counted() -> None:
    marks = [Mark(0, f"v{n}", "promoted") for n in range(6)]
    svg = Chart(DAYS[:3], marks, 380, 230).bars([(0, 1.0, "")])
    assert [text for *_, text in texts(svg, "flag")] == ["v0 v1 +4"]


def test_all_values_lie_within_the_axis_and_huge_intervals_are_cut() -> None:
    dots = [
        Dot(0, 0.50, "", interval=(0.48, 0.52), reference=0.49),
        Dot(1, 0.54, "", interval=(-40.0, 40.0), reference=0.49),
        Dot(2, 0.52, ""),
    ]
    svg = Chart(DAYS[:3], [], 380, 230).dots(dots)
    places = [float(y) for y in re.findall(r'(?:cy|y1|y2|y)="([^"]*)"', svg)]
    assert 0 < min(places) < max(places) < 230
    ticks = [float(text) for x, y, text in texts(svg, "tick") if y < 210]
    assert 0.4 < min(ticks) <= 0.48
    assert 0.54 <= max(ticks) < 0.6
    assert len(ticks) >= 3


def test_higher_values_stand_higher() -> None:
    svg = Chart(DAYS[:2], [], 380, 230).dots([Dot(0, 1.0, "low"), Dot(1, 2.0, "high")], limit=1.5)
    low, high = (float(y) for y in re.findall(r'<circle[^>]*cy="([^"]*)"', svg))
    (limit,) = re.findall(r'<line class="limit"[^>]* y1="([^"]*)"', svg)
    assert high < float(limit) < low


@pytest.mark.parametrize("value", [0.0, 1e-9, 0.3, 7.0, 123_456.0, 4e7])
def test_axes_of_any_size_have_readable_ticks(value: float) -> None:
    svg = Chart(DAYS[:1], [], 380, 230).dots([Dot(0, value, "")])
    ticks = [text for x, y, text in texts(svg, "tick") if y < 210]
    assert len(set(ticks)) == len(ticks) >= 2
    if value >= 0.1:
        assert max(map(len, ticks)) * LETTER < 60


def test_dots_of_one_place_stand_side_by_side() -> None:
    svg = Chart(DAYS[:2], [], 380, 230).dots([Dot(0, 1.0, "", series=n) for n in range(2)])
    first, second = (float(x) for x in re.findall(r'<circle[^>]*cx="([^"]*)"', svg))
    assert second - first > 8
