"""One page over time: labelled answers, drift and traffic, with what the registry did."""

from contextlib import suppress
from typing import Any

import msgspec

from .. import config, files, paths
from ..registry.history import now
from ..serving import bundle
from ..serving.bundle import Manifest
from .answered import Answered
from .timeline import look
from .trend_page import Run, render

PAGE = "trend.html"
RUNS = 800  # runs of the monitor that are looked at, the newest


def report(log: Answered, manifest: Manifest, latest: Run) -> str:
    """Write the page; returns its path below var/monitoring/.

    Empty when that fails: what the monitor has seen is told all the same.
    """
    try:
        versions = same_table(manifest)
        runs, events = [*earlier(latest.at), latest], files.read_lines(paths.HISTORY)
        page = render(manifest, versions, look(log, manifest, versions), runs, events, now())
        files.write_text(paths.MONITORING / PAGE, page)
    except Exception as error:
        print(f"no page over time: {error!r}")
        return ""
    return PAGE


def same_table(manifest: Manifest) -> dict[int, Manifest]:
    """The versions with a bundle here that tell the same of the same table."""
    found = {manifest.version: manifest}
    for path in sorted(paths.BUNDLES.glob(f"*/{bundle.MANIFEST}")):
        with suppress(OSError, msgspec.MsgspecError):
            other = msgspec.json.decode(path.read_bytes(), type=Manifest)
            if _about(other) == _about(manifest):
                found[other.version] = other
    return found


def _about(manifest: Manifest) -> tuple[Any, ...]:
    return manifest.task, manifest.classes, manifest.key, manifest.time, manifest.target


def earlier(before: str) -> list[Run]:
    """What the monitor saw in earlier runs, the oldest first."""
    found = []
    for path in sorted(paths.MONITORING.glob("*/summary.json"))[-RUNS:]:
        with suppress(OSError, msgspec.MsgspecError):
            run = msgspec.json.decode(path.read_bytes(), type=Run)
            if run.at < before:
                found.append(run)
    return found


def log(version: int) -> None:
    """Log the page to a version's run in MLflow; a registry out of reach is told, and no failure.

    For runs that need MLflow anyway: importing it takes seconds.
    """
    page = paths.MONITORING / PAGE
    found = sorted(paths.BUNDLES.glob(f"v{version}-*/{bundle.MANIFEST}"))
    if not (page.exists() and found):
        return
    from ..registry import tracking
    from ..registry.store import Store

    try:
        store = Store(config.read("name", str))
        run_id = msgspec.json.decode(found[0].read_bytes(), type=Manifest).run_id
        tracking.log_file(store, page, run_id, "monitoring")
    except Exception as error:
        print(f"the page over time could not be logged to MLflow: {error}")
