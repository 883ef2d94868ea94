"""Load by `wrk`: so many connections, each sends the next body as soon as it has its answer."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("rotate.lua")


@dataclass(frozen=True)
class Load:
    """What a load found; latencies in milliseconds."""

    answers: int
    seconds: float
    p50: float
    p99: float
    worst: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


def begin(
    address: str, bodies: Path, connections: int, seconds: int, cores: str = "1"
) -> "subprocess.Popen[str]":
    """Start a load.

    It is scheduled as a batch: when it wakes up, it does not push a server off a core they share.
    """
    if not shutil.which("wrk"):
        raise RuntimeError("wrk is not here: install your system's package `wrk`")
    command = ["taskset", "--cpu-list", cores, "chrt", "--batch", "0", "wrk", "--threads=1"]
    settings = [f"--connections={connections}", f"--duration={seconds}s", f"--script={SCRIPT}"]
    return subprocess.Popen(
        [*command, *settings, "--timeout=60s", address, "--", str(bodies)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(wrk: "subprocess.Popen[str]") -> Load:
    """Wait for a load; raises `RuntimeError` when an answer was missing or not good."""
    output, _ = wrk.communicate()
    last = output.rstrip().rpartition("\n")[2]
    if wrk.returncode or not last.startswith("{"):
        raise RuntimeError(f"wrk ended with {wrk.returncode}:\n{output}")
    found = json.loads(last)
    if found.pop("errors") or not found["answers"]:
        raise RuntimeError(f"not every answer was good:\n{output}")
    return Load(**found)


def run(address: str, bodies: Path, connections: int, seconds: int, cores: str = "1") -> Load:
    """Start a load and wait for it."""
    return end(begin(address, bodies, connections, seconds, cores))
