"""Turning complete files of the prediction log into Parquet, a tenth of the size.

One file becomes one file, written aside and renamed before the old one goes, so that an
interruption loses nothing and doubles nothing.
"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from .. import files

COLUMNS = (
    "{'id': 'VARCHAR', 'at': 'TIMESTAMPTZ', 'version': 'INTEGER', 'probability': 'DOUBLE', "
    "'label': 'VARCHAR', 'probabilities': 'DOUBLE[]', 'value': 'DOUBLE', 'row': 'JSON'}"
)
# A line that a crash has torn does not parse and is passed over.
READ = f"read_json($log, format = 'newline_delimited', ignore_errors = true, columns = {COLUMNS})"
NAME = re.compile(r"(?P<day>\d{4}-\d\d-\d\d)\.(?P<writer>[^.]+)\.(?P<number>\d+)\.jsonl")
GRACE = timedelta(minutes=5)  # after midnight, for answers that were under way


def compact(folder: Path) -> None:
    """Replace each file of a log that no writer will touch again."""
    for path in complete(sorted(folder.glob("*.jsonl"))):
        target = path.with_suffix(".parquet")
        if not target.exists():  # else the last run was interrupted here
            with files.replacing(target) as aside, duckdb.connect() as connection:
                found = connection.sql(f"FROM {READ}", params={"log": path.as_posix()})
                found.write_parquet(aside.as_posix())
        path.unlink(missing_ok=True)


def complete(paths: list[Path]) -> list[Path]:
    """The files that are of an earlier day, or that their writer has left for the next one."""
    today = f"{datetime.now(UTC) - GRACE:%Y-%m-%d}"
    named = [(path, match) for path in paths if (match := NAME.fullmatch(path.name))]
    last: dict[str, int] = {}
    for _, match in named:
        last[match["writer"]] = max(last.get(match["writer"], 0), int(match["number"]))
    return [
        path
        for path, match in named
        if match["day"] < today or int(match["number"]) < last[match["writer"]]
    ]


def torn(paths: list[Path]) -> int:
    """How many lines of these files do not parse: a process died, or a disk failed, while writing.

    An answer whose line is torn was never sent.
    """
    lines = 0
    for path in paths:
        data = path.read_bytes()
        lines += data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    if not lines:
        return 0
    with duckdb.connect() as connection:
        values = {"log": [path.as_posix() for path in paths]}
        ((parsed,),) = connection.execute(f"SELECT count(id) FROM {READ}", values).fetchall()
    return lines - int(parsed)
