"""What a verdict leads to: the page that explains it, and the place of the champion."""

from pathlib import Path
from typing import Any

from .. import config, paths
from ..serving.bundle import CARD
from . import deploy, history, tracking
from . import verdict as verdicts
from .crown import crown
from .gate import Verdict
from .store import Store, Version


def report(store: Store, name: str, fingerprint: str, verdict: Verdict, run_id: str) -> str:
    """Write the page on a verdict and log it to the run; its path below `var/`."""
    gate = config.read("gate", config.Gate)
    path = verdicts.write(name, fingerprint, gate, verdict, history.now())
    tracking.log_file(store, path, run_id, path.parent.name)
    return path.relative_to(paths.VAR).as_posix()


def found(line: dict[str, Any]) -> Path:
    """Where a line of the history is explained."""
    return paths.VAR / str(line.get("report", paths.HISTORY.name))


def promote(store: Store, version: Version, old: Version | None, reason: str, **line: Any) -> None:
    """Make a version champion, have it served, write it down and say so."""
    crown(store, version, old, "promoted", reason, **line)
    print(f"version {version.number} is champion; its card is {deploy.place(version) / CARD}")
    print(f"why: {found(line)}")
