"""What there is to tell of a challenger that answers the same traffic unseen.

A small file below var/monitoring/, which the service may read wherever it runs.
"""

from contextlib import suppress
from pathlib import Path

import msgspec

WAITING = "challenger.json"


class Challenger(msgspec.Struct, frozen=True):
    """How far it is: rows answered, those with a label by now, and how many are needed.

    `difference` is the share of rows with another label than the champion's, or of numbers the
    mean absolute difference (`numbers`); None before the first row. `since` is ISO 8601 in UTC.
    """

    version: int
    fingerprint: str
    since: str
    answered: int
    labelled: int
    needed: int
    difference: float | None
    numbers: bool

    def __str__(self) -> str:
        said = (
            f"version {self.version} answers unseen since {self.since}: {self.answered:,} rows, "
            f"{self.labelled:,} of {self.needed:,} with a label"
        )
        if self.difference is None:
            return said
        if self.numbers:
            return f"{said}; {self.difference:.4g} away from the champion on average"
        return f"{said}; the champion's label in {1 - self.difference:.1%} of them"


def read(monitoring: Path) -> Challenger | None:
    """The challenger that waits; None when there is none, or the file is broken."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((monitoring / WAITING).read_bytes(), type=Challenger)
    return None
