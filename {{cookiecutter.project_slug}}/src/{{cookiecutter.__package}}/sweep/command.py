"""One sweep from its arguments to conf/tuned/: what is looked for, on which rows, by whom."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from hydra.core.override_parser.types import Override

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

if TYPE_CHECKING:
    from optuna import Study

PATIENCE = 120  # seconds to wait for other sweeps that begin, or for a retraining
STOPPED = 130  # exit code, as a shell has it after Ctrl+C


@dataclass(frozen=True)
class Order:
    """What was asked for: the configuration, where to look, and which settings are given.

    `fixed` are those given with the command, and those of an earlier result that are not looked
    for: all that the model which is scored has beyond its file in conf/model/.
    """

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
    with locks.exclusive("retrain", wait=PATIENCE):  # which makes the training rows anew
        dvc("repro", "--quiet", "split", hushed=lambda: stop.asked)
        scorer = scorer_of(order.params)
        data_md5 = files.digest(paths.TRAIN, "md5")
    called = studies.name(scorer, order.space, data_md5)
    directions = studies.directions(scorer)
    today = space.present(order.space, order.params.model)
    with studies.opened(called, directions, settings, today) as study:
        print(f"study {called}: {_begun(study)}, {_goal(settings, study)}", flush=True)
        if not today:
            print("not tried first: today's settings, of which one is outside of the space")
        progress = Progress(study, settings.n_trials)
        tags = {"model": scorer.model.name, "data.train_md5": data_md5}
        record = Record(study, order.params.name, scorer.metrics, tags)

        def told(number: int) -> None:
            progress.told(number)
            record.follow()

        crew = _crew(settings, scorer, called)
        try:
            driver = Driver(study, order.space, scorer.weights, settings, crew, stop, told)
            finished = driver.run()
        except BaseException:
            record.end(finished=False)
            raise
        finally:
            crew.close()
            progress.close()
        if finished:
            found = studies.best(study)
            if not found:
                raise Refusal(f"no trial of {called} has a value{_last_failure(study)}")
            print(result.summary(study, found, scorer.metrics))
            path = result.write(study, found, scorer, data_md5, order.fixed)
            print(f"written: {path}\nuse it:  {_use(scorer.model.name)}")
        record.end(finished)
        if record.trouble:
            print(f"not all of it is in MLflow, the next sweep logs it: {record.trouble}")
        return 0 if finished else _stopped(arguments, f" with {_begun(study)}")


def understood(arguments: Sequence[str]) -> Order:
    """The arguments as Hydra reads them: sweeps among them are added to the model's space.

    Raises `Refusal` for what does not compose, and for a setting that the model does not have.
    """
    if noted(CONF):
        raise Refusal("conf/overrides.yaml holds an experiment: end it with `make exp`, then sweep")
    plain: list[str] = []
    swept: dict[str, Override] = {}
    given: set[str] = set()
    for argument in arguments:
        override = space.parsed(argument, "the command")
        key = str(override.key_or_group)
        setting = _setting(key)
        if override.is_delete() or not (setting or key == "model" or key.startswith("sweep.")):
            raise Refusal(
                f"{argument!r}: a sweep takes model=, model.estimator.*=, model.encoding= and "
                "sweep.*=; edit conf/ for others"
            )
        if override.is_sweep_override():
            if not setting:
                raise Refusal(f"{argument!r}: only settings of the model can be looked for")
            swept[key] = override
            continue
        # A setting that an earlier result has added is there already, so `+` may not be said.
        plain.append(f"+{argument}" if argument.startswith("+model.") else argument)
        if setting:
            given.add(setting)
    params = config.composed(compose(CONF, plain))
    name = params.model.name
    if not (CONF / "model" / f"{name}.yaml").exists():
        raise Refusal(f"conf/model/: write `name: <the file's name>`; no file is called {name}")
    path = space.FOLDER / f"{name}.yaml"
    of_file = space.read(path) if path.exists() or not swept else {}
    of_file = {key: value for key, value in of_file.items() if key not in {*given, *swept}}
    space.check(of_file, params.model, str(path))
    space.check(swept, params.model, "the command")
    found = space.distributions(of_file, str(path)) | space.distributions(swept, "the command")
    if not found:
        raise Refusal(f"nothing is left to look for: every setting in {path} is given")
    today = {ESTIMATOR + key: value for key, value in params.model.estimator.items()}
    today[ENCODING] = params.model.encoding
    kept = [key for key in sorted(given | result.written(name)) if key not in found]
    return Order(params, found, {key: today[key] for key in kept if key in today})


def _setting(key: str) -> str:
    """The setting of the model that a key is, or lies in; empty for any other key."""
    if key.startswith(ESTIMATOR):
        return ESTIMATOR + key.removeprefix(ESTIMATOR).partition(".")[0]
    return key if key == ENCODING else ""


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
        weights=[settings.decay**fold if by_time else 1.0 for fold in range(settings.folds)],
        model=params.model,
        threads=params.threads,
    )


def _crew(settings: config.Sweep, scorer: Scorer, called: str) -> Crew:
    if settings.launcher == "ray":
        from .ray_crew import Cluster

        return Cluster(scorer, settings.workers)
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    workers = settings.workers or max(1, cores // scorer.threads)
    return Processes(scorer, workers, paths.VAR / f"sweep-{called}.rows")


def _begun(study: "Study") -> str:
    ended = studies.ended(study)
    return f"{ended} trials finished" if ended != 1 else "1 trial finished"


def _last_failure(study: "Study") -> str:
    failed = [trial.user_attrs.get(studies.ERROR, "") for trial in study.get_trials(deepcopy=False)]
    return f"; the last one failed by {failed[-1]}" if failed and failed[-1] else ""


def _goal(settings: config.Sweep, study: "Study") -> str:
    trials = f"{settings.n_trials} asked" if settings.n_trials else "as many as there is time for"
    if not settings.minutes:
        return trials
    spent = study.user_attrs.get(studies.SECONDS, 0) / 60
    return f"{trials}, {settings.minutes:g} minutes, {spent:.1f} of them spent"


def _stopped(arguments: Sequence[str], when: str = "") -> int:
    given = f' SET="{shlex.join(arguments)}"' if arguments else ""
    print(f"stopped{when}; to go on: make sweep{given}")
    return STOPPED


def _use(model: str) -> str:
    chosen = compose(CONF, [])["model"]["name"]
    return "dvc repro" if chosen == model else f'make exp SET="model={model}"'
