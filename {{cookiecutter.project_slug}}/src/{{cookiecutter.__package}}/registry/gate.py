"""Whether a challenger may take over: the rules of conf/gate/, on metrics of the same holdout."""

import math
from collections.abc import Callable

import msgspec

from ..cli import Refusal
from ..config import Gate
from ..instantiate import named
from ..tasks import Task

Metrics = dict[str, float]


class Verdict(msgspec.Struct, frozen=True):
    """The decision, the rule that made it and the figures it was made on."""

    promoted: bool
    rule: str
    reason: str
    challenger: Metrics
    champion: Metrics | None
    baseline: Metrics


Rule = Callable[[Metrics, Metrics | None, Metrics], str | None]


def judge(
    gate: Gate, task: Task, challenger: Metrics, champion: Metrics | None, baseline: Metrics
) -> Verdict:
    """Apply the rules in their order, the project's own among them; the first that fails decides.

    A rule of its own takes the metrics of challenger, champion (None for the first model) and
    baseline, and returns why the challenger must not serve, or None.
    """

    def verdict(promoted: bool, rule: str, reason: str) -> Verdict:
        return Verdict(promoted, rule, reason, challenger, champion, baseline)

    metric, guard = gate.metric, gate.guard_metric
    judges = {metric, guard}
    defined = judges & set(challenger) & set(champion or judges) & {*baseline, guard}
    if absent := sorted(judges - defined):
        return verdict(False, "holdout", f"{', '.join(absent)} is undefined on this holdout")
    skill = _share(task.gain(metric, challenger[metric], baseline[metric]), baseline[metric])
    said = f"{metric} {challenger[metric]:.4f} against the baseline's {baseline[metric]:.4f}"
    if not skill >= gate.min_skill:
        return verdict(
            False, "min_skill", f"{said}: {skill:.1%} better, {gate.min_skill:.1%} needed"
        )
    for name in gate.rules:
        rule: Rule = named(name, "conf/gate/")
        try:
            found = rule(dict(challenger), champion and dict(champion), dict(baseline))
        except Exception as error:
            raise Refusal(f"conf/gate/: the rule {name} fails: {error!r}") from None
        if found:
            return verdict(False, name.rpartition(".")[2], str(found))
    if champion is None:
        return verdict(True, "min_skill", f"first model, {said}: {skill:.1%} better")
    gained = task.gain(metric, challenger[metric], champion[metric])
    said = f"{metric} {challenger[metric]:.4f} against the champion's {champion[metric]:.4f}"
    if not gained > gate.min_gain:
        needed = f"more than {gate.min_gain:+.4f} needed"
        return verdict(False, "min_gain", f"{said}: gain {gained:+.4f}, {needed}")
    lost = -task.gain(guard, challenger[guard], champion[guard])
    if not lost <= gate.max_guard_loss:
        return verdict(
            False,
            "max_guard_loss",
            f"{said}, but {guard} {challenger[guard]:.4f} is {lost:.4f} worse than the champion's "
            f"{champion[guard]:.4f}; at most {gate.max_guard_loss} is allowed",
        )
    return verdict(True, "min_gain", f"{said}: gain {gained:+.4f}")


def _share(gained: float, of: float) -> float:
    return gained / abs(of) if of else math.inf * gained if gained else 0.0
