"""One sweep from its arguments to conf/tuned/: what is looked for, on which rows, by whom."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import config, files, locks, paths, table
from ..cli import Refusal
from ..dvc import dvc
from ..pipeline.compose import CONF, compose, noted
from . import folds, result, space
from . import study as studies
from .crew import Crew, Processes
from .drive import Driver
from .progress import Progress
from .record import Record
from .score import ENCODING, ESTIMATOR, Scorer
from .stop import Stop

STOPPED = 130  # exit code, as a shell has it after Ctrl+C
SETTABLE = ("model", "sweep")


@dataclass(frozen=True)
class Order:
    """What was asked for: the configuration, where to look, and which settings are given."""

    params: config.Params
    space: space.Space
    fixed: dict[str, Any]


def sweep(arguments: Sequence[str], stop: Stop) -> int:
    """Run the study to its end and write what was found; the exit code."""
    try:
        return _sweep(arguments, stop)
    except Refusal:  # of DVC, which hears Ctrl+C, too
        if not stop.asked:
            raise
    except KeyboardInterrupt:
        pass  # pressed twice: at once
    return _stopped(arguments)


def _sweep(arguments: Sequence[str], stop: Stop) -> int:
    order = understood(arguments)
    settings = order.params.sweep
    with locks.exclusive("retrain"):  # which makes the training rows anew
        dvc("repro", "--quiet", "split")
        scorer = scorer_of(order.params)
        data_md5 = files.digest(paths.TRAIN, "md5")
    called = studies.name(scorer, order.space, data_md5)
    directions = studies.directions(scorer)
    today = space.present(order.space, order.params.model)
    with studies.opened(called, directions, settings, today) as study:
        print(f"study {called}: {_begun(studies.counts(study))}, {_goal(settings)}", flush=True)
        progress = Progress(study, settings.n_trials)
        tags = {"model": scorer.model.name, "data.train_md5": data_md5}
        record = Record(study, order.params.name, scorer.metrics, tags)

        def told(number: int) -> None:
            progress.told(number)
            record.follow()

        crew = _crew(settings, scorer)
        finished = False
        try:
            finished = Driver(study, order.space, settings, crew, stop, told).run()
        finally:
            crew.close()
            progress.close()
            record.end(finished)
            if record.trouble:
                print(f"not all trials are in MLflow, the next sweep logs them: {record.trouble}")
        if not finished:
            return _stopped(arguments, f" with {_begun(studies.counts(study))}")
        found = studies.best(study)
        if not found:
            raise Refusal(f"no trial of {called} has a value, so there is nothing to take over")
        print(result.summary(study, found, scorer.metrics, first=bool(today)))
        path = result.write(scorer.model.name, study, found, scorer.metrics, data_md5, order.fixed)
        print(f"written: {path}\nuse it:  {_use(scorer.model.name)}")
    return 0


def understood(arguments: Sequence[str]) -> Order:
    """The arguments as Hydra reads them: sweeps among them are added to the model's space.

    Raises `Refusal` for what does not compose, and for a setting that the model does not have.
    """
    if noted(CONF):
        raise Refusal("conf/overrides.yaml holds an experiment: end it with `make exp`, then sweep")
    plain: list[str] = []
    swept = {}
    fixed: list[str] = []
    for argument in arguments:
        override = space.parsed(argument, "the command")
        key = str(override.key_or_group)
        if key.partition(".")[0] not in SETTABLE:
            raise Refusal(f"{argument!r}: a sweep sets model and sweep only; edit conf/ for others")
        if override.is_sweep_override():
            swept[key] = override
        else:
            plain.append(argument)
            fixed += [key] if key.startswith(ESTIMATOR) or key == ENCODING else []
    params = config.composed(compose(CONF, plain))
    path = space.FOLDER / f"{params.model.name}.yaml"
    searched = {**(space.read(path) if path.exists() or not swept else {}), **swept}
    for key in fixed:
        searched.pop(key, None)
    space.check(searched, params.model, str(path))
    values = {ESTIMATOR + name: value for name, value in params.model.estimator.items()}
    values[ENCODING] = params.model.encoding
    return Order(
        params, space.distributions(searched, str(path)), {key: values[key] for key in fixed}
    )


def scorer_of(params: config.Params) -> Scorer:
    """What scores a trial: the rows of the split stage's training file, and how to cut them."""
    data, settings = params.data, params.sweep
    kinds = table.inputs()
    rows = table.frame(paths.TRAIN, [*kinds, data.roles.target])
    numbers = folds.blocks(data.roles, params.split, bool(data.classes), settings.folds)
    by_time = params.split.holdout_share is None
    if data.classes:
        labels = rows[data.roles.target].to_numpy(np.int64)
        folds.check(numbers, by_time, settings.folds, labels, [str(one) for one in data.classes])
    return Scorer(
        rows=rows,
        blocks=numbers,
        by_time=by_time,
        kinds=kinds,
        target=data.roles.target,
        task=data.task,
        classes=data.classes,
        own_metrics=params.evaluate.metrics,
        metrics=settings.metrics or [params.gate.metric],
        model=params.model,
        threads=params.threads,
    )


def _crew(settings: config.Sweep, scorer: Scorer) -> Crew:
    if settings.launcher == "ray":
        from .ray_crew import Cluster

        return Cluster(scorer, settings.workers)
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return Processes(scorer, settings.workers or max(1, cores // scorer.threads))


def _begun(counts: Mapping[str, int]) -> str:
    ended = sum(counts.get(state, 0) for state in ("COMPLETE", "PRUNED", "FAIL"))
    return f"{ended} trials finished" if ended != 1 else "1 trial finished"


def _goal(settings: config.Sweep) -> str:
    trials = f"{settings.n_trials} asked" if settings.n_trials else "as many as there is time for"
    return trials + (f", {settings.minutes:g} minutes" if settings.minutes else "")


def _stopped(arguments: Sequence[str], when: str = "") -> int:
    given = f' SET="{shlex.join(arguments)}"' if arguments else ""
    print(f"stopped{when}; to go on: make sweep{given}")
    return STOPPED


def _use(model: str) -> str:
    chosen = compose(CONF, [])["model"]["name"]
    return "dvc repro" if chosen == model else f'make exp SET="model={model}"'
