"""When the unattended runs last ended well, for whoever waits for them in vain.

Two small files below var/monitoring/, which the service may read wherever it runs: the retraining's
own, and what the monitor saw last.
"""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from . import metrics

RETRAINED = "retrain.json"
MONITORED = "latest.json"


class Run(msgspec.Struct, frozen=True):
    """When a run ended (ISO 8601, UTC), and its outcome where it has one."""

    at: str
    outcome: str = ""


def last(monitoring: Path, name: str) -> Run | None:
    """The last run that ended well; None before the first, and when the file is broken."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((monitoring / name).read_bytes(), type=Run)
    return None


def tell(monitoring: Path) -> None:
    """Set the figures to what the files say now; 0 stands for never."""
    for name, figure in ((RETRAINED, metrics.RETRAINED), (MONITORED, metrics.MONITORED)):
        run = last(monitoring, name)
        figure.set(datetime.fromisoformat(run.at).timestamp() if run else 0)
