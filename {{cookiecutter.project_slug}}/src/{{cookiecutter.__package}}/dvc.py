"""Calling DVC as a command, with the stages' `python` being this environment's."""

import os
import subprocess
import sys
from pathlib import Path

from .cli import Refusal


def dvc(*arguments: str) -> None:
    """Run a DVC command in the project folder; `Refusal` when it fails, after its own output."""
    if _run(*arguments):
        raise Refusal(f"`dvc {' '.join(arguments)}` failed; its output above says where")


def stale() -> bool:
    """Whether `dvc repro` would run anything."""
    return _run("status", "--quiet") != 0


def output(*arguments: str) -> str:
    """What a DVC command prints; `Refusal` when it fails, after its own words."""
    done = subprocess.run(
        _command(*arguments), env=_environment(), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise Refusal(f"`dvc {' '.join(arguments)}` failed; its output above says where")
    return done.stdout.strip()


def _run(*arguments: str) -> int:
    return subprocess.run(_command(*arguments), env=_environment(), check=False).returncode


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dvc", *arguments]


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "DVC_NO_ANALYTICS": "true",
    }
