"""Whether a challenger may take over: the rules of conf/gate/, on metrics of the same holdout."""

import msgspec

from ..config import Gate
from ..scores import gain

Metrics = dict[str, float]


class Verdict(msgspec.Struct, frozen=True):
    """The decision, the rule that made it and the figures it was made on."""

    promoted: bool
    rule: str
    reason: str
    challenger: Metrics
    champion: Metrics | None
    baseline: Metrics


def judge(gate: Gate, challenger: Metrics, champion: Metrics | None, baseline: Metrics) -> Verdict:
    """Apply the rules in their order; the first that fails decides."""

    def verdict(promoted: bool, rule: str, reason: str) -> Verdict:
        return Verdict(promoted, rule, reason, challenger, champion, baseline)

    metric, guard = gate.metric, gate.guard_metric
    if absent := sorted({metric, guard} - set(challenger)):
        return verdict(False, "holdout", f"{', '.join(absent)} is undefined: one label only")
    skill = gain(metric, challenger[metric], baseline[metric]) / abs(baseline[metric])
    said = f"{metric} {challenger[metric]:.4f} against the baseline's {baseline[metric]:.4f}"
    if not skill >= gate.min_skill:
        return verdict(
            False, "min_skill", f"{said}: {skill:.1%} better, {gate.min_skill:.1%} needed"
        )
    if champion is None:
        return verdict(True, "min_skill", f"first model, {said}: {skill:.1%} better")
    gained = gain(metric, challenger[metric], champion[metric])
    said = f"{metric} {challenger[metric]:.4f} against the champion's {champion[metric]:.4f}"
    if not gained > gate.min_gain:
        needed = f"more than {gate.min_gain:+.4f} needed"
        return verdict(False, "min_gain", f"{said}: gain {gained:+.4f}, {needed}")
    lost = -gain(guard, challenger[guard], champion[guard])
    if not lost <= gate.max_guard_loss:
        return verdict(
            False,
            "max_guard_loss",
            f"{said}, but {guard} {challenger[guard]:.4f} is {lost:.4f} worse than the champion's "
            f"{champion[guard]:.4f}; at most {gate.max_guard_loss} is allowed",
        )
    return verdict(True, "min_gain", f"{said}: gain {gained:+.4f}")
