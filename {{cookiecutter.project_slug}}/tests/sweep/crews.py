"""Crews that score in this process, at once and by a formula, and can be cut off at any moment."""

from collections.abc import Callable
from dataclasses import dataclass, field

from {{ cookiecutter.__package }}.sweep.score import Job, Score


class Cut(BaseException):
    """The driver is killed here."""


@dataclass
class Made:
    """Scores by `formula`; `cut` is how many answers it lives for."""

    formula: Callable[[Job], list[float] | str]
    workers: int = 2
    cut: int | None = None
    jobs: list[Job] = field(default_factory=list)
    at_work: list[Job] = field(default_factory=list)

    def free(self) -> int:
        return self.workers - len(self.at_work)

    def start(self, job: Job) -> None:
        assert self.free() > 0
        assert job.trial not in [other.trial for other in self.at_work]
        self.jobs.append(job)
        self.at_work.append(job)

    def done(self, seconds: float) -> list[Score]:
        if self.cut is not None and len(self.jobs) - len(self.at_work) >= self.cut:
            raise Cut
        job = self.at_work.pop()  # the newest first: trials end in another order than they began
        found = self.formula(job)
        if isinstance(found, str):
            return [Score(job.trial, job.fold, [], found, f"Traceback of {job.trial}")]
        return [Score(job.trial, job.fold, found)]

    def close(self) -> None:
        pass
