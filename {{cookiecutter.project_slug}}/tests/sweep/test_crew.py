import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.__package }}.sweep import crew
from {{ cookiecutter.__package }}.sweep.score import Job, Score

from .. import project

PATIENCE = 30.0  # less than the long jobs take


@dataclass
class Doing:
    """Does what a job's values say, in the worker."""

    def score(self, job: Job) -> Score:
        if "die" in job.values:
            os.kill(os.getpid(), job.values["die"])
        time.sleep(job.values.get("sleep", 0))  # so that jobs overlap
        return Score(job.trial, job.fold, [float(os.getpid()), time.monotonic()])


@pytest.fixture
def two(tmp_path: Path) -> Iterator[crew.Processes]:
    made: Any = Doing()
    processes = crew.Processes(made, 2, tmp_path / "rows")
    yield processes
    processes.close()
    assert not list(tmp_path.iterdir())


def all_of(processes: crew.Processes, count: int) -> dict[int, Score]:
    found: list[Score] = []
    end = time.monotonic() + PATIENCE
    while len(found) < count and time.monotonic() < end:
        found += processes.done(0.1)
    return {score.trial: score for score in found}


def test_nobody_is_hired_before_there_is_work(two: crew.Processes) -> None:
    assert two.free() == 2
    assert two.done(0) == []
    two.start(Job(0, {}, 0))
    assert two.free() == 1
    all_of(two, 1)
    two.start(Job(1, {}, 0))
    all_of(two, 1)
    assert len(two._workers) == 1  # who has nothing to do is asked first


def test_two_jobs_are_at_work_at_once_in_two_processes(two: crew.Processes) -> None:
    for trial in range(4):
        if not two.free():
            all_of(two, 1)
        two.start(Job(trial, {"sleep": 0.2}, 0))
    assert two.free() == 0
    all_of(two, 2)
    assert len({worker.process.pid for worker in two._workers}) == 2


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGKILL, "was killed, as the system does when memory runs out"),
        (signal.SIGTERM, "-15"),
    ],
)
def test_a_worker_that_dies_costs_its_trial_only(
    number: int, said: str, two: crew.Processes
) -> None:
    two.start(Job(7, {"die": int(number)}, 2))
    two.start(Job(8, {"sleep": 0.1}, 0))
    found = all_of(two, 2)
    assert said in found[7].error
    assert found[7].fold == 2
    assert found[8].error == ""
    two.start(Job(9, {}, 0))
    assert all_of(two, 1)[9].error == ""


def test_an_idle_worker_that_dies_is_replaced_unseen(two: crew.Processes) -> None:
    two.start(Job(0, {}, 0))
    before = all_of(two, 1)[0].values[0]
    two._workers[0].process.kill()
    two._workers[0].process.join()
    assert two.done(0.1) == []
    two.start(Job(1, {}, 0))
    assert all_of(two, 1)[1].values[0] != before


@dataclass
class Large(Doing):
    """More than a pipe holds, which dies when it is read."""

    rows: bytes = bytes(10_000_000)

    def __setstate__(self, state: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_while_it_reads_the_rows_keeps_nobody_waiting(tmp_path: Path) -> None:
    made: Any = Large()
    processes = crew.Processes(made, 1, tmp_path / "rows")
    processes.start(Job(3, {}, 0))
    assert "was killed" in all_of(processes, 1)[3].error
    processes.close()


PARENT = """
import sys
from pathlib import Path
from tests.sweep.test_crew import Doing, Job, crew
if __name__ == "__main__":
    made = crew.Processes(Doing(), 2, Path(sys.argv[1]))
    for seconds in (2, 60):
        for trial in (1, 2): made.start(Job(trial, dict(sleep=seconds), 0))
        print(*[worker.process.pid for worker in made._workers], flush=True)
        found = []
        while len(found) < 2: found += made.done(0.1)
        print(*[score.error or "well" for score in found], flush=True)
"""


def test_workers_never_hear_ctrl_c_and_end_with_their_driver(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "rows")],
        cwd=project.ROOT,
        env={**os.environ, "PYTHONPATH": f"{project.ROOT}{os.pathsep}{project.ROOT / 'src'}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout
        workers = [int(text) for text in parent.stdout.readline().split()]
        assert len(workers) == 2
        for moment in range(10):  # while they start, and while they work
            for worker in workers:
                os.kill(worker, signal.SIGINT)
            time.sleep(0.1 * (moment > 0))
        assert parent.stdout.readline() == "well well\n"
        assert parent.stdout.readline().split() == [str(worker) for worker in workers]
        parent.kill()
    end = time.monotonic() + PATIENCE
    while any(alive(worker) for worker in workers) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(alive(worker) for worker in workers)


def alive(process: int) -> bool:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False
