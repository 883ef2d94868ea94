"""Timing commands as whole processes, and printing what was found."""

import statistics
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

LIMIT = 1800  # seconds that one command may take


def timed(folder: Path, environment: Mapping[str, str], *commands: list[str]) -> float:
    """Run commands one after another; returns the seconds they took together.

    Raises `RuntimeError` with what it printed when one fails.
    """
    began = time.perf_counter()
    for command in commands:
        done = subprocess.run(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
    return time.perf_counter() - began


def ratio(ours: list[float], theirs: list[float]) -> str:
    """The median of the ratios round by round, and their range."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def seconds(values: list[float]) -> str:
    """The median in seconds."""
    return f"{statistics.median(values):.2f} s"
