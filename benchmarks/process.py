"""A server under measurement: started on given cores, asked, weighed from /proc, and ended."""

import http.client
import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 120.0  # seconds until the first good answer
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU seconds so far and resident megabytes, by process id."""

    cpu: dict[int, float]
    resident: dict[int, float]


class Server:
    """A running server; `seconds` is the time from its start to its first good answer."""

    def __init__(
        self,
        command: list[str],
        folder: Path,
        environment: dict[str, str],
        cores: str,
        log: Path,
    ) -> None:
        self._log = log
        self._began = time.perf_counter()
        self.seconds = 0.0
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["taskset", "--cpu-list", cores, *command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, port: int, path: str, body: bytes) -> None:
        """Ask until the answer is good.

        Raises `RuntimeError` with the server's own words when it ends before, or takes too long.
        """
        while time.perf_counter() - self._began < PATIENCE and self._process.poll() is None:
            try:
                post(port, path, body)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)
            else:
                self.seconds = time.perf_counter() - self._began
                return
        words = self._log.read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"{self._process.args!r} does not answer:\n{words[-4000:]}")

    def usage(self) -> Usage:
        """What the server and all its descendants have used."""
        cpu, resident = {}, {}
        for pid in tree(self._process.pid):
            try:
                fields = _stat(pid)
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            except OSError:
                continue  # it has ended
            cpu[pid] = sum(map(int, fields[11:15])) / TICKS  # own and of ended children
            resident[pid] = int(next(x.split()[1] for x in lines if x.startswith("Rss:"))) / 1024
        return Usage(cpu, resident)

    def stop(self) -> None:
        """End the server: SIGTERM to its group, SIGKILL to what is left of it after ten seconds."""
        started = tree(self._process.pid)  # some servers give their workers groups of their own
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self._process.pid, signal.SIGTERM)
        began = time.perf_counter()
        while any(map(_runs, started)) and time.perf_counter() - began < 10:
            self._process.poll()
            time.sleep(0.02)
        for pid in filter(_runs, started):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()


def post(port: int, path: str, body: bytes) -> Any:
    """The JSON answer to a JSON body; raises `OSError` when it is not a good one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise OSError(f"{response.status}: {answer[:300]!r}")
    return json.loads(answer)


def tree(root: int) -> list[int]:
    """A process and all its descendants that are alive."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except OSError:
                continue  # it has ended
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def idle(cores: str) -> float:
    """Seconds that the listed cores have had nothing to do since the machine's start."""
    names = {f"cpu{core}" for core in cores.split(",")}
    lines = map(str.split, Path("/proc/stat").read_text(encoding="ascii").splitlines())
    return sum(int(x[4]) + int(x[5]) for x in lines if x[0] in names) / TICKS


def _stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat from the third on (the second may hold spaces)."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def _runs(pid: int) -> bool:
    try:
        return _stat(pid)[0] != "Z"
    except OSError:
        return False
