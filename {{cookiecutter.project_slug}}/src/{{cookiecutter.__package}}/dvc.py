"""Calling DVC as a command, with the stages' `python` being this environment's."""

import os
import subprocess
import sys
from pathlib import Path

from .cli import Refusal


def dvc(*arguments: str) -> None:
    """Run a DVC command in the project folder; `Refusal` when it fails, after its own output."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "DVC_NO_ANALYTICS": "true",
    }
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], env=environment, check=False)
    if done.returncode:
        raise Refusal(f"`dvc {' '.join(arguments)}` failed; its output above says where")
