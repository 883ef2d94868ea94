"""A retraining that was killed: how the next one knows of it, and what it puts right.

`kill -9`, a lack of memory and a power cut leave no time for a last word. So a run keeps its
journal entry in a file of its own, from its beginning until the entry is in the journal.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from . import dvc, files, paths
from .registry import history

UNDER_WAY = "retraining.json"  # below var/
ASIDE = re.compile(r"\..+\.(?P<pid>\d+)")  # what `files.replacing` writes to
WRITTEN_TO = ("conf", "data", "models", "reports")
GIT = ("index.lock", "next-index-*.lock", "HEAD.lock", "refs/**/*.lock")


def note(entry: dict[str, Any], step: str) -> None:
    """Say what this run is about to do."""
    files.write_json(paths.VAR / UNDER_WAY, {**entry, "step": step})


def done() -> None:
    """The entry is in the journal."""
    (paths.VAR / UNDER_WAY).unlink(missing_ok=True)


def put_right() -> dict[str, Any] | None:
    """Write the journal entry of a run that was killed, and remove what it has left half done.

    For the holder of the retraining's lock. What the run had finished is kept. Returns the entry
    that was written, if any.
    """
    under_way = paths.VAR / UNDER_WAY
    killed = under_way.exists()
    dvc.mend(killed)
    if not killed:
        return None
    entry, written = files.read_json(under_way), None
    if entry["started"] not in {line["started"] for line in files.read_lines(paths.JOURNAL)}:
        print(f"the run before was interrupted at the step {entry['step']}; this one goes on")
        written = _last_word(**entry)
        files.append_line(paths.JOURNAL, written)
    _remove_asides()
    _unlock_git()
    done()
    return written


def _last_word(step: str, **entry: Any) -> dict[str, Any]:
    error = f"killed, or the machine went down, at the step {step}"
    entry |= {"outcome": "interrupted", "error": error, "ended": history.now()}
    since = [line for line in files.read_lines(paths.HISTORY) if line["at"] >= entry["started"]]
    return entry | ({"decision": since[-1]} if since else {})


def _remove_asides() -> None:
    found = list(Path().glob(".*"))
    for folder in (*map(Path, WRITTEN_TO), paths.VAR):
        found += folder.rglob(".*")
    for path in found:
        aside = ASIDE.fullmatch(path.name)
        if aside and path.is_file() and not _runs(int(aside["pid"])):
            path.unlink()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def _unlock_git() -> None:
    command = ["git", "rev-parse", "--git-dir", "--git-common-dir"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    for folder in set(asked.stdout.split("\n")[:-1]) if asked.returncode == 0 else ():
        for pattern in GIT:
            for lock in Path(folder).glob(pattern):
                lock.unlink(missing_ok=True)
