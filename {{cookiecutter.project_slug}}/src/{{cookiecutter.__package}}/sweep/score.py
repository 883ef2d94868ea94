"""What a worker does: fit the model as the train stage does, and score it on one fold."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from traceback import format_exception
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config, tasks
from ..cli import Refusal, one_line
from ..pipeline import train
from . import folds

if TYPE_CHECKING:
    import pandas as pd


ENCODING, ESTIMATOR = "model.encoding", "model.estimator."  # what a study may set


@dataclass(frozen=True)
class Job:
    """A trial's settings by name, and the fold to score them on, counted from 0."""

    trial: int
    values: dict[str, Any]
    fold: int


@dataclass(frozen=True)
class Score:
    """What became of a job: a value for each metric, or why there is none."""

    trial: int
    fold: int
    values: list[float]
    error: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class Scorer:
    """All that scoring takes besides the values, and what each fold weighs; one for all workers."""

    rows: "pd.DataFrame"
    blocks: folds.Blocks
    by_time: bool
    kinds: dict[str, config.Kind]
    target: str
    task: config.Task
    classes: list[config.Class] | None
    own_metrics: dict[str, config.Metric]
    metrics: list[str]
    weights: list[float]
    model: config.Model
    threads: int

    def score(self, job: Job) -> Score:
        """The metrics of a job; an exception, the estimator's own too, is part of the answer."""
        from threadpoolctl import threadpool_limits

        try:
            with threadpool_limits(self.threads):  # predicting takes all cores else
                return Score(job.trial, job.fold, self._score(job))
        except Exception as error:
            # A refusal stands for what the estimator has raised.
            cause = (isinstance(error, Refusal) and error.__context__) or error
            said = f"{type(cause).__name__}: {one_line(cause)}"
            return Score(job.trial, job.fold, [], said, "".join(format_exception(cause)))

    def _score(self, job: Job) -> list[float]:
        trains, judges = folds.masks(self.blocks, self.by_time, job.fold)
        pipeline = train.fit(
            with_values(self.model, job.values),
            self.rows[trains],
            self.kinds,
            self.target,
            self.classes,
            self.threads,
        )
        task = tasks.Task(self.task, self.classes, self.own_metrics)
        rows = self.rows[judges]
        labels = rows[self.target].to_numpy(np.int64 if self.classes else np.float64)
        predictions = task.predict(pipeline, rows[list(self.kinds)])
        found = [task.measure(metric, labels, predictions) for metric in self.metrics]
        for metric, value in zip(self.metrics, found, strict=True):
            if not math.isfinite(value):
                raise ValueError(f"{metric} is {value}")
        return found


def with_values(model: config.Model, values: Mapping[str, Any]) -> config.Model:
    """The model with these settings, named as in conf/space/."""
    given = {
        name.removeprefix(ESTIMATOR): value
        for name, value in values.items()
        if name.startswith(ESTIMATOR)
    }
    encoding = values.get(ENCODING, model.encoding)
    return config.Model(model.name, encoding, model.estimator | given)
