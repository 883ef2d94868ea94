"""How a text table is written: encoding, delimiter, decimal sign."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..cli import Refusal

DELIMITERS = ",;\t|"
HEAD = 200  # lines that tell the delimiter
SAMPLE = 5000  # lines that tell the decimal sign
COMMA = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+")
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+")
DOT = re.compile(r"[-+]?\d*\.\d+")
SHARE = 0.9  # of a column's values that must agree


@dataclass(frozen=True)
class Dialect:
    """What a source knows of its text files; None is found out for each file."""

    encoding: str | None = None
    delimiter: str | None = None
    decimal: str = "."


def records(path: Path, delimiter: str) -> Iterator[list[str]]:
    """The rows of a UTF-8 file, its header first; empty lines are passed over."""
    csv.field_size_limit(1 << 24)
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            yield from (row for row in csv.reader(file, delimiter=delimiter) if row)
        except csv.Error as error:
            raise Refusal(f"{path.name} cannot be read as a table: {error}") from None


def delimiter(path: Path) -> str:
    """The sign that parts the same number of fields, the largest, in most lines."""
    best, most = ",", (0.0, 1)
    for sign in DELIMITERS:
        widths = Counter(len(row) for row in islice(records(path, sign), HEAD))
        if not widths:
            continue
        width, lines = widths.most_common(1)[0]
        if width > 1 and (found := (lines / widths.total(), width)) > most:
            best, most = sign, found
    return best


def decimal(path: Path, sign: str) -> str:
    """`,` where a column's numbers are written with decimal commas, else `.`.

    Groups of three digits after every comma are thousands. `Refusal` when columns disagree.
    """
    commas, dots = [], []
    rows = islice(records(path, sign), SAMPLE)
    header = next(rows, [])
    values: list[list[str]] = [[] for _ in header]
    for row in rows:
        for column, value in zip(values, row, strict=False):
            if len(value) < 40 and value.strip():
                column.append(value.strip())
    for name, column in zip(header, values, strict=True):
        if not column:
            continue
        if sum(bool(COMMA.fullmatch(v)) for v in column) and _mostly(
            column, "[-+]?[\\d.]+(,\\d+)?"
        ):
            if not all(THOUSANDS.fullmatch(v) for v in column if "," in v):
                commas.append(name)
        elif _mostly(column, "[-+]?\\d*\\.?\\d+") and any(DOT.fullmatch(v) for v in column):
            dots.append(name)
    if commas and dots:
        raise Refusal(
            f"{path.name} writes {commas[0]!r} with decimal commas and {dots[0]!r} with decimal "
            "points; write all numbers in one way"
        )
    return "," if commas else "."


def _mostly(column: list[str], pattern: str) -> bool:
    fits = re.compile(pattern)
    return sum(bool(fits.fullmatch(value)) for value in column) >= SHARE * len(column)
