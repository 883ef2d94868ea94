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


def _run(*arguments: str) -> int:
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "DVC_NO_ANALYTICS": "true",
    }
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, env=environment, check=False).returncode
