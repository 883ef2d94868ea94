"""The study in Optuna's storage: its name, who may work on it, and its trials."""

import hashlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import environ
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from .. import config, features, locks, paths
from ..cli import Busy, Refusal, behind
from ..instantiate import instantiate
from .score import ENCODING, ESTIMATOR, Scorer
from .space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

Direction = Literal["minimize", "maximize"]
PATIENCE = 60  # seconds to wait for a storage that somebody else has locked
SECONDS = "seconds"  # attribute of a study: the time spent on it
REFERENCE = "reference"  # attribute of a study: the first score there was of each fold
IDENTITY = "identity"  # attribute of a study: tells it from another one of its name
SCORES = "scores"  # attribute of a trial: the metrics of each fold so far
ERROR, TRACEBACK = "error", "traceback"  # attributes of one that failed


def address() -> str:
    """Where trials are kept: `OPTUNA_STORAGE`, or a SQLite file below `var/`."""
    return environ.get("OPTUNA_STORAGE") or f"sqlite:///{(paths.VAR / 'optuna.db').as_posix()}"


def name(scorer: Scorer, space: Space, data_md5: str) -> str:
    """The study's name: the same model, space, rows, folds and metrics go on with the same one."""
    from optuna.distributions import distribution_to_json

    searched = {key: distribution_to_json(kind) for key, kind in sorted(space.items())}
    fixed: dict[str, Any] = {
        key: value for key, value in scorer.model.estimator.items() if ESTIMATOR + key not in space
    }
    folds = hashlib.sha256(scorer.blocks.tobytes()).hexdigest()
    own = {
        key: metric.function for key, metric in scorer.own_metrics.items() if key in scorer.metrics
    }
    if ENCODING not in space:
        fixed[ENCODING] = scorer.model.encoding
    used = [str(scorer.model.estimator.get("_target_")), *own.values()]
    code = [features.code(path, "conf/") for path in used]
    made_of: list[Any] = [searched, fixed, data_md5, folds, scorer.kinds, scorer.target]
    made_of += [scorer.classes, scorer.metrics, scorer.weights, directions(scorer), own, code]
    text = json.dumps(made_of, sort_keys=True)
    return f"{scorer.model.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def directions(scorer: Scorer) -> list[Direction]:
    """Which way each metric is better, as Optuna says it."""
    from .. import tasks

    better = tasks.Task(scorer.task, scorer.classes, scorer.own_metrics).higher_is_better
    return ["maximize" if better[metric] else "minimize" for metric in scorer.metrics]


@contextmanager
def opened(
    called: str,
    directions: list[Direction],
    settings: config.Sweep,
    present: Mapping[str, Any] | None,
) -> Iterator["Study"]:
    """The study, for one driver at a time; `present` are the values that a new one tries first.

    Raises `Busy` when another process is at it, `Refusal` when the storage fails.
    """
    _quiet()
    import optuna

    with locks.exclusive(f"sweep-{called}"), failing():
        with locks.exclusive("optuna", wait=PATIENCE):  # two that make the tables break them
            storage = _storage()
        with _alone(storage, called):
            study = optuna.create_study(
                storage=storage,
                study_name=called,
                directions=directions,
                load_if_exists=True,
                pruner=_made(settings.pruner) if settings.pruner else optuna.pruners.NopPruner(),
            )
            begun = len(study.get_trials(deepcopy=False))
            study.sampler = _made(_reseeded(settings.sampler, begun))
            if IDENTITY not in study.user_attrs:
                study.set_user_attr(IDENTITY, uuid4().hex)
            if present and not begun:
                study.enqueue_trial(dict(present))
            yield study
            storage.remove_session()


def _reseeded(sampler: Mapping[str, Any], begun: int) -> dict[str, Any]:
    # With the same seed a resumed study would draw once more what it has drawn already.
    if not isinstance(sampler.get("seed"), int):
        return dict(sampler)
    return {**sampler, "seed": (sampler["seed"] + begun) % 2**32}


def _made(settings: Mapping[str, Any]) -> Any:
    """What `_target_` names, and what its arguments name in turn."""
    made = {
        name: _made(value) if isinstance(value, dict) and "_target_" in value else value
        for name, value in settings.items()
    }
    return instantiate(made, "conf/sweep/")


def _storage() -> "RDBStorage":
    from optuna.storages import RDBStorage

    url = address()
    if url.startswith("sqlite:"):
        paths.VAR.mkdir(parents=True, exist_ok=True)
        return RDBStorage(url, engine_kwargs={"connect_args": {"timeout": PATIENCE}})
    try:
        # Never connected anew: with the connection the lock of `_alone` is lost as well.
        return RDBStorage(url)
    except ImportError:
        kind = url.partition("://")[0]
        raise Refusal(
            f"OPTUNA_STORAGE: no package for {kind} is installed; docs/growing.md says which"
        ) from None


@contextmanager
def _alone(storage: "RDBStorage", called: str) -> Iterator[None]:
    """Keep drivers of other machines out, as a file's lock cannot."""
    import sqlalchemy

    if storage.engine.dialect.name != "postgresql":
        yield
        return
    key = int.from_bytes(hashlib.sha256(called.encode()).digest()[:8], signed=True)
    with storage.engine.connect() as session:
        # Whoever holds it may vanish with its machine: then the server looks after it.
        session.execute(sqlalchemy.text("SET tcp_keepalives_idle = 30"))
        taken = session.execute(sqlalchemy.text("SELECT pg_try_advisory_lock(:key)"), {"key": key})
        if not taken.scalar():
            raise Busy(f"another machine works on the study {called}; nothing was done")
        session.commit()
        yield


@contextmanager
def failing() -> Iterator[None]:
    """Turn what the storage raises into a `Refusal`."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except ModuleNotFoundError as error:
        raise Refusal(f"conf/sweep/: {error.name} is needed, and not installed") from None
    except (StorageInternalError, SQLAlchemyError) as error:
        where = f"{address().partition('://')[0]}, see OPTUNA_STORAGE"
        raise Refusal(f"Optuna's storage ({where}) fails: {behind(error)}") from None


def _quiet() -> None:
    logging.getLogger("optuna").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="optuna")


def counts(study: "Study") -> dict[str, int]:
    """How many trials there are of each of Optuna's states."""
    found: dict[str, int] = {}
    for trial in study.get_trials(deepcopy=False):
        found[trial.state.name] = found.get(trial.state.name, 0) + 1
    return found


def ended(study: "Study") -> int:
    """How many trials are at their end, whichever."""
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def best(study: "Study") -> "FrozenTrial | None":
    """The best trial by the first metric, among several metrics one that none beats in all."""
    from optuna.trial import TrialState

    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return None
    sign = -1 if study.directions[0].name == "MAXIMIZE" else 1
    return min(study.best_trials, key=lambda trial: (sign * trial.values[0], trial.number))
