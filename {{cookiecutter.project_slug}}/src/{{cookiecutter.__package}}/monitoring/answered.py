"""The prediction log as one table: what it holds is counted once a file, and samples are drawn."""

import math
import random
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from .. import files, paths
from . import compact, database, layout

COUNTS = "packed.json"  # below var/monitoring/; made anew where it is missing
OPEN = "still_open"  # the table of the lines that are not packed yet
MARGIN = 5  # standard deviations more than is asked for, so that a sample is hardly ever too small


class Part(msgspec.Struct, frozen=True):
    """How many answers of one version and day (UTC, ISO 8601) one file holds, and between which.

    `first` and `last` are in milliseconds since 1970.
    """

    version: int
    day: str
    rows: int
    first: int
    last: int


class Held(msgspec.Struct, frozen=True):
    """What one file holds, and how many of its lines do not parse."""

    parts: list[Part]
    torn: int


Parts = dict[str, list[Part]]


class Answered:
    """All answers that were logged; complete files are packed first.

    `key` and `time` are the names of these columns of a row. `torn` counts the lines that do not
    parse: a process died, or a disk failed, while writing. Their answers were never sent.
    """

    def __init__(self, key: str, time: str | None) -> None:
        compact.predictions(paths.PREDICTIONS, key, time)
        self.connection = database.connect()
        self._packed = {path.name: path for path in compact.packed(paths.PREDICTIONS)}
        torn = self._read_open(compact.still_open(paths.PREDICTIONS), key, time)
        counted = self._counted()
        self.torn = torn + sum(one.torn for one in counted.values())
        self._parts: Parts = {name: one.parts for name, one in counted.items()}
        self._parts |= self._count(OPEN, f"'{OPEN}'")

    def _read_open(self, found: list[Path], key: str, time: str | None) -> int:
        """Read the lines that are not packed yet; returns how many are torn."""
        before = compact.lines(found)  # a line that is written from here on is no torn one
        source = layout.lines(layout.PREDICTIONS, found) if found else layout.NOTHING
        self.connection.execute(f"CREATE TABLE {OPEN} AS {layout.answers(source, key, time)}")
        ((rows,),) = self.connection.execute(f"SELECT count(id) FROM {OPEN}").fetchall()
        return max(0, before - int(rows))

    def _counted(self) -> dict[str, Held]:
        """What the packed files hold; only new ones are looked at."""
        path = paths.MONITORING / COUNTS
        known = msgspec.convert(files.read_json(path), dict[str, Held]) if path.exists() else {}
        found = {name: one for name, one in known.items() if name in self._packed}
        if new := [path for name, path in self._packed.items() if name not in found]:
            source = f"read_parquet({layout.names(new)}, filename = true)"
            parts, lines = self._count(source, "parse_path(filename)[-1]"), compact.counted(new)
            for name in (one.name for one in new):
                rows = sum(part.rows for part in parts.get(name, []))
                found[name] = Held(parts.get(name, []), max(0, lines[name] - rows))
            files.write_json(path, msgspec.to_builtins(found))
        return found

    def _count(self, source: str, name: str) -> Parts:
        found: Parts = {}
        query = (
            f'SELECT {name}, version, epoch_ms("at") // 86400000 AS day, count(*), '
            f'min(epoch_ms("at")), max(epoch_ms("at")) FROM {source} '
            "WHERE id IS NOT NULL GROUP BY ALL ORDER BY ALL"
        )
        for file, version, day, rows, first, last in self.connection.execute(query).fetchall():
            date = datetime.fromtimestamp(day * 86400, UTC).date().isoformat()
            found.setdefault(file, []).append(Part(version, date, rows, first, last))
        return found

    def parts(self) -> list[Part]:
        """What all files hold."""
        return [part for parts in self._parts.values() for part in parts]

    def count(self, versions: Collection[int], since: int = 0) -> int:
        """How many answers there are of some versions since a moment (milliseconds since 1970)."""
        rows, cut = 0, []
        for name, ours in self._held(versions, since).items():
            if any(part.first < since for part in ours):  # the day on which the time begins
                cut.append(name)
            else:
                rows += sum(part.rows for part in ours)
        if cut:
            query = f"SELECT count(*) FROM {self._table(cut)} WHERE {_of(versions, since)}"
            ((more,),) = self.connection.execute(query).fetchall()
            rows += int(more)
        return rows

    def draw(self, rows: int, versions: Collection[int], since: int = 0, seed: int = 0) -> str:
        """About so many of the answers, or all where they are fewer, as a table of SQL.

        The same for the same seed; what was asked for again is drawn together with it.
        """
        chosen = _of(versions, since)
        if (share := self.share(rows, versions, since)) < 1:
            width = int(share * layout.DRAWN)
            start = random.Random(seed).randrange(layout.DRAWN - width)  # noqa: S311
            chosen += f" AND draw BETWEEN {start}::UBIGINT AND {start + width - 1}::UBIGINT"
        held = self._held(versions, since)
        return f"(SELECT * FROM {self._table(list(held))} WHERE {chosen})"

    def share(self, rows: int, versions: Collection[int], since: int = 0) -> float:
        """The share of the answers that `draw` takes."""
        wanted = rows + MARGIN * math.sqrt(rows)
        return min(1.0, wanted / max(1, self.count(versions, since)))

    def _held(self, versions: Collection[int], since: int) -> Parts:
        found = {
            name: [part for part in parts if part.version in versions and part.last >= since]
            for name, parts in self._parts.items()
        }
        return {name: parts for name, parts in found.items() if parts}

    def _table(self, names: list[str]) -> str:
        packed = [self._packed[name] for name in names if name != OPEN]
        tables = [f"SELECT * FROM {layout.parquet(packed)}"] * bool(packed)
        if OPEN in names or not packed:
            tables.append(f"SELECT * FROM {OPEN}")
        return f"({' UNION ALL BY NAME '.join(tables)})"


def _of(versions: Collection[int], since: int) -> str:
    moment = datetime.fromtimestamp(since / 1000, UTC).isoformat(timespec="milliseconds")
    known = ", ".join(map(str, [-1, *versions]))
    return f"version IN ({known}) AND \"at\" >= '{moment}'::TIMESTAMPTZ"
