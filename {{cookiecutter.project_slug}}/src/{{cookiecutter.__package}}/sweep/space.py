"""Where a study looks: Hydra's sweep grammar, read by Hydra's own parser, as Optuna's terms."""

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    QuotedString,
    RangeSweep,
)
from hydra.errors import HydraException
from omegaconf import OmegaConf
from yaml import YAMLError

from .. import config
from ..cli import Refusal, one_line
from ..pipeline import train
from .score import ENCODING, ESTIMATOR

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

FOLDER = Path("conf/space")
Space = dict[str, "BaseDistribution"]


def parsed(text: str, where: str) -> Override:
    """One override such as `model.estimator.C=interval(0, 1)`; `Refusal` where Hydra reads none."""
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise Refusal(f"{where}: {text!r} is not Hydra's grammar: {one_line(error)}") from None


def read(path: Path) -> dict[str, Override]:
    """The lines of a file of conf/space/ by the setting they are about."""
    if not path.exists():
        raise Refusal(
            f"{path} is not there: write what may be tried, such as "
            f"`{ESTIMATOR}learning_rate: tag(log, interval(0.01, 0.3))`"
        )
    try:
        lines: Any = OmegaConf.to_container(OmegaConf.load(path))
    except (YAMLError, OSError) as error:
        raise Refusal(f"{path} cannot be read: {one_line(error)}") from None
    if not isinstance(lines, dict) or not lines:
        raise Refusal(f"{path} names no setting to try")
    return {str(key): parsed(f"{key}={value}", str(path)) for key, value in lines.items()}


def distributions(overrides: Mapping[str, Override], where: str) -> Space:
    """Optuna's distribution of each setting; a `Refusal` names the one that has none."""
    found = {}
    for key, override in overrides.items():
        try:
            found[key] = _distribution(override)
        except (TypeError, ValueError) as error:
            raise Refusal(f"{where}: {key}: {one_line(error)}") from None
    return found


def _distribution(override: Override) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    sweep = override.value()
    if unknown := set(getattr(sweep, "tags", ())) - {"log"}:
        raise ValueError(f"there is no tag {', '.join(unknown)}, only log")
    if isinstance(sweep, ChoiceSweep):
        return CategoricalDistribution([_plain(value) for value in sweep.list])
    if isinstance(sweep, IntervalSweep):
        log = "log" in sweep.tags
        if isinstance(sweep.start, int) and isinstance(sweep.end, int):
            return IntDistribution(sweep.start, sweep.end, log=log)
        return FloatDistribution(float(sweep.start or 0), float(sweep.end or 0), log=log)
    if isinstance(sweep, RangeSweep) and sweep.tags:
        raise ValueError("a range has no tag; write int(tag(log, interval(...)))")
    if isinstance(sweep, RangeSweep):
        values = list(sweep.range())  # its stop is not one of them
        if not values:
            raise ValueError("the range is empty")
        if all(isinstance(value, int) for value in values):
            return IntDistribution(int(values[0]), int(values[-1]), step=int(sweep.step))
        low, step = float(values[0]), float(sweep.step)
        return FloatDistribution(low, low + step * (len(values) - 1), step=step)
    raise ValueError("give several values: choice(...), range(...) or interval(...)")


def _plain(value: object) -> Any:
    """A choice as the estimator takes it: quotes of the grammar are no part of a text."""
    if isinstance(value, QuotedString):
        return value.text
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"{value!r} is no single value")


def check(names: Iterable[str], model: config.Model, where: str) -> None:
    """Refuse settings that the model does not have, before a trial is lost to them."""
    estimator = train.build(model, {"a": "numeric"})["estimator"]
    known = [ESTIMATOR + name for name in {**estimator.get_params(), **model.estimator}]
    for name in names:
        if name == ENCODING or name in known:
            continue
        near = get_close_matches(name, known, 3) or sorted(known)
        raise Refusal(f"{where}: {model.name} has no setting {name!r}; it has {', '.join(near)}")


def suggest(trial: "Trial", space: Space) -> dict[str, Any]:
    """The trial's values: those it has already, and the sampler's for the others."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    found: dict[str, Any] = {}
    for name, kind in space.items():
        if isinstance(kind, FloatDistribution):
            found[name] = trial.suggest_float(
                name, kind.low, kind.high, step=kind.step, log=kind.log
            )
        elif isinstance(kind, IntDistribution):
            found[name] = trial.suggest_int(name, kind.low, kind.high, step=kind.step, log=kind.log)
        elif isinstance(kind, CategoricalDistribution):
            found[name] = trial.suggest_categorical(name, kind.choices)
    return found


def present(space: Space, model: config.Model) -> dict[str, Any] | None:
    """The values of today, to be tried first; None where the space does not hold them all."""
    estimator = train.build(model, {"a": "numeric"})["estimator"]
    settings = {**estimator.get_params(), **model.estimator}
    today = {ESTIMATOR + name: value for name, value in settings.items()}
    today[ENCODING] = model.encoding
    found = {name: today.get(name) for name in space}
    return found if all(_holds(space[name], value) for name, value in found.items()) else None


def _holds(kind: "BaseDistribution", value: Any) -> bool:
    try:
        number = kind.to_internal_repr(value)
        return math.isfinite(number) and kind._contains(number)
    except (TypeError, ValueError):
        return False
