"""The prediction log: one JSON line a row, written before the reply leaves."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from .answers import Record

BEFORE = datetime.min.replace(tzinfo=UTC)


class Feedback(msgspec.Struct, frozen=True):
    """What turned out to be true of an answered row."""

    id: str
    at: datetime
    label: int | float | str


class Log:
    """Appends to files of one process, each call with a single write.

    What `write` has accepted survives the death of the process, though not of the machine. A new
    file is begun at midnight (UTC) and when the old one has reached `max_bytes`; the names,
    `<day>.<writer>.<number>.jsonl`, tell which files are complete.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._max_bytes = max_bytes
        self._encoder = msgspec.json.Encoder()
        self._writer = f"{os.getpid()}-{os.urandom(4).hex()}"  # process ids come round again
        self._number = 0
        self._descriptor = -1
        self._midnight = BEFORE
        self._bytes = 0

    def append(self, records: Sequence[Record | Feedback]) -> None:
        """Write the records; raises OSError when the disk refuses them."""
        block = self._encoder.encode_lines(records)
        now = records[0].at
        if now >= self._midnight or self._bytes >= self._max_bytes:
            self._begin(now)
        written = os.write(self._descriptor, block)
        if written != len(block):
            os.ftruncate(self._descriptor, self._bytes)  # nobody is told of these rows
            raise OSError(f"only {written} of {len(block)} bytes could be written")
        self._bytes += written

    def look(self) -> None:
        """Begin a new file when the current one has been removed under us; call it regularly."""
        if self._descriptor >= 0 and not os.fstat(self._descriptor).st_nlink:
            self.close()

    def close(self) -> None:
        """Close the current file; the next record begins another."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._midnight = -1, BEFORE

    def _begin(self, now: datetime) -> None:
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{now:%Y-%m-%d}.{self._writer}.{self._number}.jsonl"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
        self._number, self._bytes = self._number + 1, 0
