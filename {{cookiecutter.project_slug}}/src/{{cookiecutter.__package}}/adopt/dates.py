"""Columns of text that are dates, and how they are written."""

import re
from dataclasses import dataclass

import duckdb

from ..table import literal, quoted

ISO = "ISO"
DAYS = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%a, %d %b %Y"),
)
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
FORMATS = (*(day + time for day in DAYS for time in TIMES), "%Y%m%d", "%Y-%m")
LIKELY = re.compile(r"(?=.*\d).*(\d[-/. ]\w+[-/., ]+\d|^(19|20)\d{6}$|^(19|20)\d\d-\d\d$)")
SHARE = 0.95  # of a column's values that must be dates
MORE = 0.01  # of the values that another way of writing must read besides


@dataclass(frozen=True)
class Written:
    """The ways in which a column's dates are written; `unsure` of two that read them equally."""

    formats: tuple[str, ...]
    unsure: tuple[str, ...] = ()

    def moment(self, name: str) -> str:
        """The column as SQL of type TIMESTAMP."""
        return _read(name, self.formats)

    @property
    def named(self) -> str:
        """The formats in words."""
        return " or ".join(self.formats)


def written(
    connection: duckdb.DuckDBPyConnection, source: str, name: str, some: list[str]
) -> Written | None:
    """How the dates of a text column are written; None when it holds no dates.

    `some` are a few of its values, which tell whether a closer look is worth it.
    """
    if not some or sum(bool(LIKELY.search(value)) for value in some) < SHARE * len(some):
        return None
    tried = (ISO, *FORMATS)
    chosen: list[str] = []
    unsure: tuple[str, ...] = ()
    total = 0
    while len(chosen) < 4:
        left = f"{quoted(name)} IS NOT NULL" + (
            f" AND {_read(name, tuple(chosen))} IS NULL" if chosen else ""
        )
        counts = ", ".join(f"count({_read(name, (one,))})" for one in tried)
        (count, *read), *_ = connection.execute(
            f"SELECT count(*), {counts} FROM {source} WHERE {left}"
        ).fetchall()
        total = total or count
        most = max(read)
        if most < max(1, MORE * total):
            break
        best = [one for one, found in zip(tried, read, strict=True) if found == most]
        chosen.append(best[0])
        if len(best) > 1 and _swapped(best[0]) in best:
            unsure = (best[0], _swapped(best[0]))
        # The same signs read the other way round would be other days.
        tried = tuple(one for one in tried if one not in (chosen[-1], _swapped(chosen[-1])))
    if not chosen:
        return None
    seen = f"SELECT count({_read(name, tuple(chosen))}) FROM {source}"
    ((read_all,),) = connection.execute(seen).fetchall()
    return Written(tuple(chosen), unsure) if read_all >= SHARE * total else None


def _swapped(format_: str) -> str:
    """The same format with day and month in the other order."""
    return format_.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")


def _read(name: str, formats: tuple[str, ...]) -> str:
    text = f"{quoted(name)}::VARCHAR"
    parts = [f"TRY_CAST({text} AS TIMESTAMP)"] if ISO in formats else []
    listed = ", ".join(literal(one) for one in formats if one != ISO)
    parts += [f"try_strptime({text}, [{listed}])"] if listed else []
    return f"coalesce({', '.join(parts)})" if len(parts) > 1 else parts[0]
