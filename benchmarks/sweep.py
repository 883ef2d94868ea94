"""`make bench-sweep`: what pruning saves, what a second worker brings, what MLflow costs a trial.

Works in a copy of a project of the example, `--life build/demo/flight-delays`; each study starts
from nothing, as a whole process, imports, pictures and MLflow included. Rounds are interleaved.
"""

import argparse
import os
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from demo.project import TEMPLATE, Project

from .timing import ratio

TRIALS = 40
LOGGED = 200
LIMIT = 3600
BEST = """
SELECT min(v.value) FROM trial_values v JOIN trials t USING (trial_id) WHERE t.state = 'COMPLETE'
"""
STATES = "SELECT state, count(*) FROM trials GROUP BY state"
RANDOM = ("sweep.sampler={_target_: optuna.samplers.RandomSampler, seed: 1}", "sweep.pruner=null")


class Ran(NamedTuple):
    """A study: seconds by the clock and of CPU, its best value, and how many were pruned."""

    wall: float
    cpu: float
    best: float
    pruned: int


def copied(project: Path, folder: Path) -> Project:
    """A copy of the project without its state, which borrows its environment."""
    target = folder / project.name
    shutil.copytree(project, target, ignore=shutil.ignore_patterns(".venv", "var"))
    (target / ".venv").symlink_to(project / ".venv")
    found = Project(target)
    found.environment["PYTHONPATH"] = str(target / "src")
    found.environment["DO_NOT_TRACK"] = "true"
    return found


def run(project: Project, log: Path, *command: str) -> tuple[float, float]:
    """Seconds by the clock and of CPU, of a command and all it waits for."""
    began = time.perf_counter()
    path = f"{project.folder / '.venv/bin'}{os.pathsep}{project.environment['PATH']}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["python", *command],
            cwd=project.folder,
            env={**project.environment, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}:\n{log.read_text()}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime


def looked(storage: Path) -> tuple[float, int, int]:
    """The best value, how many trials were pruned, and how many there are."""
    with closing(sqlite3.connect(storage)) as opened:
        ((best,),) = opened.execute(BEST).fetchall()
        states = dict(opened.execute(STATES).fetchall())
    return float(best), int(states.get("PRUNED", 0)), sum(states.values())


def studied(project: Project, package: str, trials: int, *settings: str) -> Ran:
    """A study from nothing to its end."""
    for left in (project.folder / "var", project.folder / "conf/tuned"):
        shutil.rmtree(left, ignore_errors=True)
    asked = f"sweep.n_trials={trials}"
    log = project.folder.parent / "log"
    wall, cpu = run(project, log, "-m", f"{package}.sweep", asked, *settings)
    best, pruned, count = looked(project.folder / "var/optuna.db")
    assert count == trials, f"{count} trials, {trials} asked"
    return Ran(wall, cpu, best, pruned)


def looped(project: Project, package: str, threads: int) -> float:
    """Optuna's own loop over as many trials; seconds by the clock."""
    storage = project.folder / "loop.db"
    storage.unlink(missing_ok=True)
    script = str(Path(__file__).with_name("optuna_loop.py"))
    arguments = (package, str(TRIALS), str(threads), f"sqlite:///{storage}")
    wall, _ = run(project, project.folder.parent / "log", script, *arguments)
    return wall


def show(line: str) -> None:
    """Print at once: a round takes minutes."""
    print(line, flush=True)


def pruning(project: Project, package: str, rounds: int) -> None:
    """The default study with its pruner and without, one worker, another seed each round."""
    with_, without = [], []
    for seed in range(rounds):
        settings = ("sweep.workers=1", f"sweep.sampler.seed={seed}")
        with_.append(studied(project, package, TRIALS, *settings))
        without.append(studied(project, package, TRIALS, *settings, "sweep.pruner=null"))
        show(f"  seed {seed}: with {with_[-1]}, without {without[-1]}")
    show(f"\n| pruning, {TRIALS} trials, one worker | with | without |\n| --- | --- | --- |")
    for words, place in (("s by the clock", 0), ("s of CPU", 1), ("best value", 2), ("pruned", 3)):
        cells = [statistics.median(one[place] for one in some) for some in (with_, without)]
        show(f"| {words}, median | {cells[0]:.5g} | {cells[1]:.5g} |")
    walls = [[one.wall for one in some] for some in (with_, without)]
    gaps = [a.best - b.best for a, b in zip(with_, without, strict=True)]
    show(f"| with / without, median (range) | {ratio(*walls)} | 1 |")
    spread = f"{statistics.median(gaps):+.5f} ({min(gaps):+.5f} to {max(gaps):+.5f})"
    show(f"| best with minus best without, median (range) | {spread} | |\n")


def parallel(project: Project, package: str, rounds: int) -> None:
    """The same random trials with one worker, with two, and by Optuna's own loop in two threads."""
    one, two, threads = [], [], []
    for _ in range(rounds):
        one.append(studied(project, package, TRIALS, *RANDOM, "sweep.workers=1").wall)
        two.append(studied(project, package, TRIALS, *RANDOM, "sweep.workers=2").wall)
        threads.append(looped(project, package, 2))
        show(f"  {one[-1]:.1f} s, two workers {two[-1]:.1f}; Optuna's threads {threads[-1]:.1f}")
    show(f"\n| {TRIALS} random trials, all folds | s, median | one worker / it, median (range) |")
    show("| --- | --- | --- |")
    for words, found in (
        ("one worker", one),
        ("two workers", two),
        ("Optuna's own loop, n_jobs=2 (threads), without MLflow", threads),
    ):
        show(f"| {words} | {statistics.median(found):.1f} | {ratio(one, found)} |")
    show("")


def overhead(project: Project, package: str, rounds: int) -> None:
    """Milliseconds that MLflow takes a trial."""
    script = str(Path(__file__).with_name("sweep_overhead.py"))
    log = project.folder.parent / "log"
    found = []
    for _ in range(rounds):
        shutil.rmtree(project.folder / "var", ignore_errors=True)
        run(project, log, script, package, str(LOGGED))
        found.append(1000 * float(log.read_text().split()[-1]) / LOGGED)
    spread = f"{statistics.median(found):.1f} ({min(found):.1f} to {max(found):.1f})"
    show(f"MLflow: {spread} ms a trial, over {LOGGED} trials on SQLite; 200 asked")


def main() -> None:
    """Run all three and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--life", type=Path, default=TEMPLATE / "build/demo/flight-delays")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if not (given.life / ".venv").exists():
        parser.error(f"{given.life} is no project with an environment: run `make demo` first")
    with tempfile.TemporaryDirectory(prefix="bench-sweep-") as scratch:
        project = copied(given.life.resolve(), Path(scratch))
        package = next((project.folder / "src").iterdir()).name
        overhead(project, package, given.rounds)
        parallel(project, package, given.rounds)
        pruning(project, package, given.rounds)


if __name__ == "__main__":
    main()
