"""Whether a challenger may take over: the rules of conf/gate/, on metrics of the same holdout."""

from collections.abc import Callable, Sequence

import msgspec

from ..cli import Refusal
from ..config import Gate
from ..instantiate import named
from ..tasks import Task
from .guards import Guard, Segment, share
from .paired import Interval

Metrics = dict[str, float]


class Verdict(msgspec.Struct, frozen=True):
    """The decision, the rule that made it and what it was made on.

    `interval` is that of the gain on the metric of the gate; `changes` are those that callers of
    the champion must follow, `partitions` those that the `rows` are of: of the holdout, or else
    they are of so many `days` of live traffic. `shadowed` is what that traffic is to judge first.
    """

    promoted: bool
    rule: str
    reason: str
    challenger: Metrics
    champion: Metrics | None
    baseline: Metrics
    interval: Interval | None = None
    guards: Sequence[Guard] = ()
    segments: Sequence[Segment] = ()
    changes: Sequence[str] = ()
    rows: int = 0
    partitions: Sequence[str] = ()
    days: int = 0
    shadowed: bool = False


Rule = Callable[[Metrics, Metrics | None, Metrics], str | None]


def judge(
    gate: Gate,
    task: Task,
    challenger: Metrics,
    champion: Metrics | None,
    baseline: Metrics,
    interval: Interval | None = None,
    guards: Sequence[Guard] = (),
) -> Verdict:
    """Apply the rules in their order, the project's own among them; the first that fails decides.

    A rule of its own takes the metrics of challenger, champion (None for the first model) and
    baseline, and returns why the challenger must not serve, or None.
    """

    def verdict(promoted: bool, rule: str, reason: str) -> Verdict:
        found = Verdict(promoted, rule, reason, challenger, champion, baseline)
        return msgspec.structs.replace(found, interval=interval, guards=guards)

    metric, guard = gate.metric, gate.guard_metric
    judges = {metric} | ({guard} if gate.max_guard_loss is not None else set())
    defined = judges & set(challenger) & set(champion or judges) & {*baseline, guard}
    if absent := sorted(judges - defined):
        return verdict(False, "holdout", f"{', '.join(absent)} is undefined on this holdout")
    if champion is not None and gate.max_guard_loss is not None:
        guards = [on_metric(guard, gate.max_guard_loss, task, challenger, champion), *guards]
    skill = share(task.gain(metric, challenger[metric], baseline[metric]), baseline[metric])
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
    said = f"{said}: gain {gained:+.4f}{f' ({interval})' if interval else ''}"
    needed = f"more than {gate.min_gain:+.4f} needed"
    if not gained > gate.min_gain:
        return verdict(False, "min_gain", f"{said}, {needed}")
    if gate.confidence is not None:
        if interval is None:
            return verdict(False, "confidence", f"{said}, but the rows are too few to be sure")
        if not interval.low > gate.min_gain:
            reason = f"{said}, which may be chance: {needed} at the lower end, too"
            return verdict(False, "confidence", reason)
    for one in guards:
        if one.said:
            return verdict(False, one.rule, f"{said}, but {one.said}")
    return verdict(True, "min_gain", said)


def on_metric(
    guard: str, limit: float, task: Task, challenger: Metrics, champion: Metrics
) -> Guard:
    """Refuses when the challenger loses more than the limit on a metric."""
    lost = -task.gain(guard, challenger[guard], champion[guard])
    said = (
        ""
        if lost <= limit
        else f"{guard} {challenger[guard]:.4f} is {lost:.4f} worse than the champion's "
        f"{champion[guard]:.4f}; at most {limit} is allowed"
    )
    measured = f"{guard} {challenger[guard]:.4f}, champion {champion[guard]:.4f}: {lost:+.4f}"
    return Guard("max_guard_loss", measured, f"{limit:+g}", said)
