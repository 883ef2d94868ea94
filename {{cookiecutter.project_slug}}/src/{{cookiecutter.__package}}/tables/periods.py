"""Days, weeks, months, quarters and years: the names of partitions that are spans of time."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Literal, get_args

Period = Literal["day", "week", "month", "quarter", "year"]
PERIODS: tuple[Period, ...] = get_args(Period)


def start(day: date, period: Period) -> date:
    """The first day of the period that a day lies in."""
    if period == "week":
        return day - timedelta(days=day.weekday())
    if period == "day":
        return day
    month = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[period]
    return date(day.year, month, 1)


def following(first: date, period: Period) -> date:
    """The first day of the period after the one that begins on `first`."""
    days = {"day": 1, "week": 7, "month": 31, "quarter": 93, "year": 366}[period]
    return start(first + timedelta(days=days), period)


def name(first: date, period: Period) -> str:
    """A name that sorts in order of time, such as 2024-03, 2024-q1 or 2024-w09."""
    if period == "week":
        year, week, _ = first.isocalendar()
        return f"{year:04d}-w{week:02d}"
    if period == "quarter":
        return f"{first.year:04d}-q{(first.month + 2) // 3}"
    return first.isoformat()[: {"day": 10, "month": 7, "year": 4}[period]]


def between(first: date, last: date, period: Period) -> Iterator[date]:
    """The first day of each period from the one of `first` to the one of `last`."""
    begins = start(first, period)
    while begins <= last:
        yield begins
        begins = following(begins, period)
