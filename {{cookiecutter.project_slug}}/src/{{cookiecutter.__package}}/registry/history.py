"""Who was champion when and why: an append-only file of JSON lines."""

import os
from datetime import UTC, datetime
from typing import Any

from .. import files, paths
from ..cli import run
from ..serving import challenger

CROWNED = ("promoted", "rolled_back")  # events that make a version champion


def now() -> str:
    """The present moment, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def record(event: str, version: int | None, fingerprint: str, reason: str, **more: Any) -> None:
    """Append an event: promoted, refused, rolled_back, shadowed or replaced (of a challenger).

    A refusal that repeats the last line is not written again: `release` is idempotent.
    """
    if event == "refused" and repeated(event, fingerprint, reason):
        return
    line = {"event": event, "version": version, "fingerprint": fingerprint, "reason": reason}
    line |= more
    by = os.environ.get("USER") or os.environ.get("USERNAME") or "unknown"
    files.append_line(paths.HISTORY, {"at": now(), "by": by, **line})


def repeated(event: str, fingerprint: str, reason: str) -> dict[str, Any] | None:
    """The last line, if it says this already."""
    line = (files.read_lines(paths.HISTORY) or [{}])[-1]
    same = {"event": event, "fingerprint": fingerprint, "reason": reason}.items() <= line.items()
    return line if same else None


def noted(event: str, fingerprint: str, since: str = "") -> bool:
    """Whether this has happened to the model of this fingerprint, since then if that is told."""
    return any(
        (line["event"], line["fingerprint"]) == (event, fingerprint) and line["at"] >= since
        for line in files.read_lines(paths.HISTORY)
    )


def judged(fingerprint: str) -> bool:
    """Whether the gate has promoted or refused the model of this fingerprint."""
    return any(line["fingerprint"] == fingerprint for line in files.read_lines(paths.HISTORY))


def champion() -> str | None:
    """Fingerprint of the model that was made champion last."""
    lines = [line for line in files.read_lines(paths.HISTORY) if line["event"] in CROWNED]
    return str(lines[-1]["fingerprint"]) if lines else None


def main() -> None:
    """Print the history, oldest first."""
    lines = files.read_lines(paths.HISTORY)
    if not lines:
        print("no model has been released yet: run `make release`")
    for line in lines:
        version = f"v{line['version']}" if line["version"] else line["fingerprint"][:8]
        report = f" ({line['report']})" if line.get("report") else ""
        print(f"{line['at']}  {line['event']:<11}  {version:<8}  {line['reason']}{report}")
    if waiting := challenger.read(paths.MONITORING):
        print(waiting)


if __name__ == "__main__":
    run(main)
