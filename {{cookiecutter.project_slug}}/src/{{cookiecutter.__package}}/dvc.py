"""Calling DVC as a command, with the stages' `python` being this environment's."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from omegaconf import OmegaConf
from yaml import YAMLError

from .cli import Refusal

LOCK = Path("dvc.lock")
PUSHED = Path(".dvc/tmp/pushed")
BUSY = Path(".dvc/tmp/rwlock")  # who works on which file


def dvc(*arguments: str, hushed: Callable[[], bool] = lambda: False) -> None:
    """Run a DVC command in the project folder; `Refusal` when it fails, after its own output.

    The `Refusal` says what the failed stage has said, if that was one sentence, or what DVC has.
    What DVC says while `hushed` is true is not shown: to Ctrl+C it may answer with a traceback.
    """
    said: dict[str, str] = {}
    with subprocess.Popen(
        _command(*arguments),
        env=_environment(arguments[0]),
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        close_fds=False,  # it holds our locks until it ends, see `locks.exclusive`
    ) as process:
        for line in process.stderr or ():
            if not hushed():
                print(line, end="", file=sys.stderr, flush=True)
            kind, colon, rest = line.strip().partition(": ")
            if colon and kind in ("error", "ERROR"):
                said[kind] = rest
    if process.returncode:
        command = f"`dvc {' '.join(arguments)}` failed"
        if reason := said.get("error") or said.get("ERROR"):
            raise Refusal(f"{command}: {reason}")
        raise Refusal(f"{command}; its output above says where")


def stale() -> bool:
    """Whether `dvc repro` would run anything."""
    command = _command("status", "--quiet")
    return subprocess.run(command, env=_environment(), check=False, close_fds=False).returncode != 0


def output(*arguments: str) -> str:
    """What a DVC command prints; `Refusal` when it fails, after its own words."""
    done = subprocess.run(
        _command(*arguments), env=_environment(), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise Refusal(f"`dvc {' '.join(arguments)}` failed; its output above says where")
    return done.stdout.strip()


def mend(killed: bool) -> None:
    """Put right what a DVC that was `killed`, or had no room left, leaves: half of a file.

    dvc.lock is then again what git has; what was made since is found in DVC's cache.
    """
    if killed or not _whole(BUSY):
        BUSY.unlink(missing_ok=True)
    if not _whole(LOCK):
        print("dvc.lock is half written: taken back to the last commit")
        command = ["git", "checkout", "--quiet", "HEAD", "--", str(LOCK)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            LOCK.unlink()


def _whole(path: Path) -> bool:
    if not path.exists():
        return True
    try:
        if path == BUSY:
            return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
        stages = OmegaConf.select(OmegaConf.load(path), "stages")
        return bool(stages) and all("cmd" in stage for stage in stages.values())
    except (ValueError, YAMLError, OSError, AttributeError, TypeError):
        return False


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dvc", *arguments]


def _environment(command: str = "") -> dict[str, str]:
    found = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "DVC_NO_ANALYTICS": "true",
    }
    if command == "push":
        # DVC keeps the list of what to push. A push that is killed leaves half of it, which the
        # next one takes for all: so each one gets a new place for it.
        shutil.rmtree(PUSHED, ignore_errors=True)
        found["DVC_SITE_CACHE_DIR"] = str(PUSHED.resolve())
    return found
