"""Who scores: processes of this machine, each with the rows in memory and a job at a time."""

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from .. import files
from .score import Job, Score, Scorer

SPAWN = multiprocessing.get_context("spawn")


class Crew(Protocol):
    """What the driver needs of whoever scores."""

    def free(self) -> int:
        """How many jobs can be taken on at once."""
        ...

    def start(self, job: Job) -> None:
        """Take a job on."""
        ...

    def done(self, seconds: float) -> list[Score]:
        """What has become ready, waiting for it so long at most."""
        ...

    def close(self) -> None:
        """End, whatever is at work."""
        ...


@dataclass
class Worker:
    """A process, the pipe to it and what it is at."""

    process: BaseProcess
    pipe: Connection
    job: Job | None = None


class Processes:
    """Up to so many processes, started when there is work; one that dies costs its trial only.

    The rows are kept at `place` as long as the crew is.
    """

    def __init__(self, scorer: Scorer, workers: int, place: Path) -> None:
        resource_tracker.ensure_running()  # whose start lets go of the signals that `_deaf` holds
        # Through a file: who hands rows over a pipe waits for ever where the other one dies.
        self._place = place
        with files.replacing(place) as aside:
            aside.write_bytes(pickle.dumps(scorer))
        self._most = workers
        self._workers: list[Worker] = []

    def _hired(self) -> Worker:
        ours, theirs = SPAWN.Pipe()
        with _deaf():
            process = SPAWN.Process(target=work, args=(str(self._place), theirs), daemon=True)
            process.start()
        theirs.close()
        return Worker(process, ours)

    def free(self) -> int:
        """How many jobs can be taken on at once."""
        return self._most - sum(worker.job is not None for worker in self._workers)

    def start(self, job: Job) -> None:
        """Give the job to a process that has none, a new one if need be."""
        idle = [worker for worker in self._workers if worker.job is None]
        if not idle:
            idle.append(self._hired())
            self._workers += idle
        idle[0].job = job
        with suppress(OSError):  # of one that is dead, as `done` will see
            idle[0].pipe.send(job)

    def done(self, seconds: float) -> list[Score]:
        """What has become ready, waiting for it so long at most."""
        by_pipe = {worker.pipe: worker for worker in self._workers}
        found = []
        for pipe in wait(list(by_pipe), seconds):
            worker = by_pipe[pipe]  # type: ignore[index]
            try:
                found.append(worker.pipe.recv())
                worker.job = None
            except (EOFError, OSError):
                found += self._lost(worker)
        return found

    def _lost(self, worker: Worker) -> list[Score]:
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        if not (job := worker.job):
            return []
        return [Score(job.trial, job.fold, [], ended(worker.process.exitcode or 0))]

    def close(self) -> None:
        """End all processes at once."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._place.unlink(missing_ok=True)


def ended(code: int) -> str:
    """What a worker's exit code says."""
    if code == -signal.SIGKILL:
        return "the worker was killed, as the system does when memory runs out"
    return f"the worker ended with code {code}"


def work(place: str, pipe: Connection) -> None:
    """Score jobs until there are none any more; the process ends with its parent."""
    threading.Thread(target=_end_with_driver, daemon=True).start()
    try:
        scorer: Scorer = pickle.loads(Path(place).read_bytes())  # noqa: S301 - the driver's own
        while True:
            pipe.send(scorer.score(pipe.recv()))
    except (EOFError, BrokenPipeError):
        pass


def _end_with_driver() -> None:
    if driver := multiprocessing.parent_process():
        driver.join()
        os._exit(1)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started in the block never hear Ctrl+C: the driver alone decides what it means."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
