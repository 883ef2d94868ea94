"""Turning complete files of the prediction log and of the feedback into Parquet, see `layout`.

One file becomes one file, written aside and renamed before the old one goes, so that an
interruption loses nothing and doubles nothing.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from .. import files, table
from . import database, layout

NAME = re.compile(r"(?P<day>\d{4}-\d\d-\d\d)\.(?P<writer>[^.]+)\.(?P<number>\d+)")
GRACE = timedelta(minutes=5)  # after midnight, for answers that were under way
PACKED = ".packed.parquet"
GROUP = 2048  # rows of a row group, DuckDB's fewest: a small sample then reads little
BLOCK = 1 << 20  # bytes read at once


def predictions(folder: Path, key: str, time: str | None) -> None:
    """Pack the prediction log; `key` and `time` are the names of these columns of a row."""
    _pack(folder, layout.PREDICTIONS, lambda source: layout.answers(source, key, time))


def feedback(folder: Path) -> None:
    """Pack what was told of answers."""
    _pack(folder, layout.FEEDBACK, lambda source: f"SELECT * FROM {source} ORDER BY id")


def _pack(folder: Path, columns: str, query: Callable[[str], str]) -> None:
    """Replace each file that no writer will touch again, and those of an earlier layout."""
    plain = complete(sorted(folder.glob("*.jsonl")))
    earlier = sorted(set(folder.glob("*.parquet")) - set(packed(folder)))
    with database.connect() as connection:
        for path in [*plain, *earlier]:
            target = path.with_suffix(PACKED)
            if not target.exists():  # else the last run was interrupted here
                source = layout.lines(columns, [path])
                if path in earlier:
                    found = layout.parquet([path])
                    source = f'(SELECT * REPLACE ("row"::JSON AS "row") FROM {found})'
                write(connection, query(source), target, lines([path]) if path in plain else 0)
            path.unlink(missing_ok=True)


def write(connection: duckdb.DuckDBPyConnection, query: str, path: Path, count: int = 0) -> None:
    """Write a query's result as a packed file, and into it how many lines that was made of."""
    with files.replacing(path) as aside:
        connection.execute(
            f"COPY ({query}) TO {table.literal(aside.as_posix())} (FORMAT parquet, "
            f"COMPRESSION zstd, ROW_GROUP_SIZE {GROUP}, KV_METADATA {{lines: '{count}'}})"
        )


def counted(paths: Sequence[Path]) -> dict[str, int]:
    """How many lines packed files were made of, by name; 0 where it is not told."""
    with database.connect() as connection:
        found = connection.execute(
            "SELECT parse_path(file_name)[-1], decode(value)::BIGINT "
            f"FROM parquet_kv_metadata({layout.names(paths)}) WHERE decode(key) = 'lines'"
        ).fetchall()
    return dict.fromkeys((path.name for path in paths), 0) | dict(found)


def packed(folder: Path) -> list[Path]:
    """The packed files."""
    return sorted(folder.glob(f"*{PACKED}"))


def still_open(folder: Path) -> list[Path]:
    """The files of JSON lines that are not packed yet."""
    done = {path.name.removesuffix(PACKED) for path in packed(folder)}
    return [path for path in sorted(folder.glob("*.jsonl")) if path.stem not in done]


def complete(paths: list[Path]) -> list[Path]:
    """The files that are of an earlier day, or that their writer has left for the next one."""
    today = f"{datetime.now(UTC) - GRACE:%Y-%m-%d}"
    named = [(path, match) for path in paths if (match := NAME.fullmatch(path.stem))]
    last: dict[str, int] = {}
    for _, match in named:
        last[match["writer"]] = max(last.get(match["writer"], 0), int(match["number"]))
    return [
        path
        for path, match in named
        if match["day"] < today or int(match["number"]) < last[match["writer"]]
    ]


def lines(paths: list[Path]) -> int:
    """How many lines there are, torn ones among them."""
    count = 0
    for path in paths:
        last = b"\n"
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                count, last = count + block.count(b"\n"), block[-1:]
        count += last != b"\n"
    return count
