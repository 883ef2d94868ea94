"""The hook of conf/alerts/: a command that is told what happens while nobody looks.

Whatever goes wrong with it is said in one line and harms nothing else.
`python -m <this module>` tries it.
"""

import json
import os
import signal
import subprocess
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from . import config, files, paths
from .cli import Refusal, run
from .registry.history import now
from .triggers import WAITS

if TYPE_CHECKING:
    from .monitoring.summary import Summary

Event = config.Event | Literal["test"]
TOLD = "told.json"
REMIND = timedelta(days=7)
LONGEST = 1000  # characters of a reason
KEPT = 1000  # bytes of what the command complains of


class Told(msgspec.Struct, frozen=True):
    """The last alert about the traffic, and all columns and metrics named since it began."""

    at: datetime
    version: int
    status: str
    named: list[str]


def tell(
    event: Event, reason: str, details: dict[str, Any], version: int | None = None
) -> str | None:
    """Call the hook with an event, if it is set and listens to this one.

    Returns None when nobody was to be told, else what went wrong, in one line; empty for nothing.
    """
    try:
        settings = _settings()
        if settings.command is None or event not in (*settings.events, "test"):
            return None
        project = config.read("name", str)
        reason = _line(reason)[:LONGEST]
        of = f", version {version}" if version else ""
        text = f"{project}: {event.replace('_', ' ')}{of}: {reason}"
        record = {
            "event": event,
            "at": now(),
            "project": project,
            "version": version,
            "reason": reason,
            "text": text,
            "details": details,
        }
        environment = {**os.environ, "ALERT_EVENT": event, "ALERT_TEXT": text}
        given = json.dumps(record, default=str).encode() + b"\n"
        trouble = _call(settings.command, given, environment, settings.timeout_seconds)
    except Exception as error:  # an alert may not harm what it tells of
        trouble = _line(str(error) or repr(error))
    if trouble:
        print(f"nobody was told of {event}, the alert's command failed: {trouble}")
    return trouble


def monitored(summary: "Summary") -> str | None:
    """Tell what the monitor saw if that is news; returns what `tell` does.

    The same status is news once for each version, again with a column or metric not named
    before, and after `REMIND`. It is old when the status has been ok in between.
    """
    place = paths.MONITORING / TOLD
    if summary.status == "ok":
        with suppress(OSError):
            place.unlink()
        return None
    worse = [one.metric for one in summary.intervals if one.worse]
    named = {*summary.drift, *summary.broken, *worse}
    last = None
    with suppress(OSError, msgspec.MsgspecError):
        last = msgspec.json.decode(place.read_bytes(), type=Told)
    at = datetime.fromisoformat(summary.at)
    if last and (last.version, last.status) == (summary.version, summary.status):
        if named <= set(last.named) and at - last.at < REMIND:
            return None
        named |= set(last.named)
    details = msgspec.to_builtins(summary)
    trouble = tell(summary.status, summary.reason, details, summary.version)
    if trouble == "":
        told = Told(at, summary.version, summary.status, sorted(named))
        with suppress(OSError):  # then it is told again
            files.write_json(place, msgspec.to_builtins(told))
    return trouble


def ended(entry: dict[str, Any], before: str) -> str | None:
    """Tell how a retraining run has ended, by its journal entry; returns what `tell` does.

    A run that only waits, as the one `before` it did, is no news.
    """
    outcome = entry["outcome"]
    if outcome not in get_args(config.Event) or (outcome in WAITS and outcome == before):
        return None
    decision = entry.get("decision") or {}
    reason = entry.get("error") or entry.get("why_not") or decision.get("reason")
    return tell(outcome, reason or "; ".join(entry["reasons"]), entry, decision.get("version"))


def _settings() -> config.Alerts:
    found = files.read_json(paths.PARAMS).get("alerts", {})  # older projects have none
    return config.check(found, config.Alerts, "'alerts' of params.json")


def _call(command: str, given: bytes, environment: dict[str, str], seconds: float) -> str:
    """What went wrong with a shell command; empty when nothing did."""
    read, write = os.pipe()
    complaint = bytearray()
    listener = Thread(target=_listen, args=(read, complaint), daemon=True)
    listener.start()
    with os.fdopen(write, "wb") as stderr:
        process = subprocess.Popen(
            ["sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=environment,
            start_new_session=True,
        )
    try:
        process.communicate(given, seconds)
    except subprocess.TimeoutExpired:
        return f"it took longer than {seconds:g} s"
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if not process.returncode:
        return ""
    listener.join(1)  # what it has left behind may still hold the other end
    said = bytes(complaint).decode(errors="replace").strip().splitlines()
    return _line(f"exit code {process.returncode}{': ' if said else ''}{''.join(said[-1:])}")


def _listen(descriptor: int, kept: bytearray) -> None:
    """Keep the end of what comes, however much that is."""
    with os.fdopen(descriptor, "rb", buffering=0) as pipe:
        while part := pipe.read(65536):
            kept[:] = (kept + part)[-KEPT:]


def _line(text: str) -> str:
    """A text as one line that can stand in an environment and in a terminal."""
    clean = text.encode(errors="replace").decode()
    return "".join(one if one.isprintable() else " " for one in " ".join(clean.split()))


def main() -> int:
    """Have the hook told of a test; exit code 1 when it could not be."""
    trouble = tell("test", "only a test", {})
    if trouble is None:
        raise Refusal("conf/alerts/ names no command; set one and run `dvc repro compose`")
    if not trouble:
        print("the alert's command has been told of a test")
    return int(bool(trouble))


if __name__ == "__main__":
    run(main)
