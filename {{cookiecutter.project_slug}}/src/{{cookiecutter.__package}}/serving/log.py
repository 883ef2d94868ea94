"""The prediction log: one JSON line a row, written before the reply leaves."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec


class Record(msgspec.Struct, frozen=True):
    """One answered row, as it came in the request."""

    id: str
    at: str
    version: int
    probability: float
    label: int
    row: Any


class PredictionLog:
    """Appends to one file a day and process, each request with a single write.

    What `write` has accepted survives the death of the process. Lines of an interrupted write are
    cut off at most once, at the end of a file.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._day = ""
        self._descriptor = -1
        self._encoder = msgspec.json.Encoder()

    def append(self, records: Sequence[Record]) -> None:
        """Write the records; raises OSError when the disk refuses them."""
        day = datetime.now(UTC).strftime("%Y-%m-%d")
        if day != self._day or not os.fstat(self._descriptor).st_nlink:  # removed under us
            self.close()
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{day}.{os.getpid()}.jsonl"
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            self._day = day
        block = self._encoder.encode_lines(records)
        written = os.write(self._descriptor, block)
        if written != len(block):
            # Close the torn line, so that the next record starts on a line of its own.
            os.write(self._descriptor, b"\n")
            raise OSError(f"only {written} of {len(block)} bytes could be written")

    def close(self) -> None:
        """Close today's file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._day = -1, ""
