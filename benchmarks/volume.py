"""`make bench-volume`: what `make drift` takes over logs of ten million predictions and more.

Works in a released project of the example, `--life build/demo/flight-delays`. Each log is made in a
scratch folder by `benchmarks.logged`; then the monitor runs there as a command of its own.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from demo.project import TEMPLATE, Project

LOGS = ((1_000_000, 365), (10_000_000, 365), (10_000_000, 30), (40_000_000, 365), (40_000_000, 30))
MB = 1024  # kilobytes, in which Linux tells the peak

Run = tuple[float, float]


def monitored(project: Project, package: str, folder: Path) -> Run:
    """Seconds and peak megabytes of one run of the monitor, which is one process."""
    environment = {**project.environment, "VAR_DIR": str(folder / "var"), "DO_NOT_TRACK": "true"}
    command = [str(project.folder / ".venv/bin/python"), "-m", f"{package}.monitoring.drift"]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout
        said = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}:\n{said}")
    print("  " + said.replace("\n", "\n  "), flush=True)
    return seconds, usage.ru_maxrss / MB


def table(found: dict[tuple[int, int], tuple[Run, list[Run]]]) -> list[str]:
    """A row for each log, and the ratios of the longest to ten million."""
    lines = [
        "| predictions | days | the first look, s / MB | each later one, s (range) | peak MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    middle: dict[tuple[int, int], Run] = {}
    for (rows, days), (first, later) in found.items():
        seconds, peaks = zip(*later, strict=True)
        middle[rows, days] = median(seconds), max(peaks)
        spread = f"{median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
        lines.append(
            f"| {rows:,} | {days} | {first[0]:.1f} / {first[1]:.0f} | {spread} | {max(peaks):.0f} |"
        )
    for rows, days in middle:
        if rows > 10_000_000 and (10_000_000, days) in middle:
            (ours, peak), (ten, before) = middle[rows, days], middle[10_000_000, days]
            lines += [
                "",
                f"{rows:,} in {days} days take {ours / ten:.2f} times the time and "
                f"{peak / before:.2f} times the memory of 10,000,000.",
            ]
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--life", type=Path, required=True, help="folder of a released project")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most", type=int, default=40_000_000, help="leave out longer logs")
    arguments = parser.parse_args()
    project = Project(arguments.life.resolve())
    package = next(path.name for path in (project.folder / "src").iterdir() if path.is_dir())
    project.environment["PYTHONPATH"] = str(TEMPLATE)
    found: dict[tuple[int, int], Any] = {}
    scratch = Path(tempfile.mkdtemp(prefix="bench-volume-"))
    try:
        for rows, days in LOGS:
            if rows > arguments.most:
                continue
            print(f"{rows:,} predictions in {days} days", flush=True)
            folder = scratch / "log"
            counts = (str(rows), str(days))
            project.run("python", "-m", "benchmarks.logged", package, str(folder), *counts)
            first = monitored(project, package, folder)
            found[rows, days] = (
                first,
                [monitored(project, package, folder) for _ in range(arguments.rounds)],
            )
    finally:
        shutil.rmtree(scratch)
    print("\n" + "\n".join(table(found)))


if __name__ == "__main__":
    main()
