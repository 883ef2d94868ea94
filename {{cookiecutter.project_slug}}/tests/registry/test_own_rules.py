import msgspec
import pytest

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.registry.gate import Metrics, Verdict, judge
from {{ cookiecutter.__package }}.tasks import Task

GATE = config.Gate("log_loss", 0.1, 0.0, "roc_auc", 0.01)
TASK = Task("binary", [0, 1], {})
GOOD, OLD, BASELINE = (
    {"log_loss": x, "roc_auc": y} for x, y in ((0.4, 0.8), (0.5, 0.7), (0.6, 0.5))
)


def content(challenger: Metrics, champion: Metrics | None, baseline: Metrics) -> str | None:
    """A rule that has no objection."""
    challenger.clear()  # nor can it touch the figures
    return None


def never(challenger: Metrics, champion: Metrics | None, baseline: Metrics) -> str | None:
    """A rule that tells what it has seen."""
    return f"{challenger} {champion} {baseline}"


def broken(challenger: Metrics, champion: Metrics | None, baseline: Metrics) -> str | None:
    """A rule with an error."""
    raise KeyError("recall")


def judged(*rules: str, champion: Metrics | None = None, challenger: Metrics = GOOD) -> Verdict:
    named = [f"{__name__}.{rule}" for rule in rules]
    gate = msgspec.structs.replace(GATE, rules=named)
    return judge(gate, TASK, challenger, champion, BASELINE)


@pytest.mark.parametrize("champion", [None, OLD])
def test_a_rule_without_objection_changes_nothing(champion: Metrics | None) -> None:
    assert judged("content", champion=champion) == judged(champion=champion)
    assert judged("content").challenger == GOOD


@pytest.mark.parametrize("champion", [None, OLD])
def test_an_own_rule_refuses_by_its_name_and_reason(champion: Metrics | None) -> None:
    verdict = judged("content", "never", champion=champion)
    assert (verdict.promoted, verdict.rule) == (False, "never")
    assert verdict.reason == f"{GOOD} {champion} {BASELINE}"


def test_own_rules_are_asked_once_the_model_has_skill() -> None:
    assert judged("never", challenger=BASELINE).rule == "min_skill"


def test_a_rule_that_fails_or_is_not_there_stops_the_release_in_one_sentence() -> None:
    with pytest.raises(Refusal, match=r"conf/gate/: the rule .*broken fails: KeyError\('recall'\)"):
        judged("broken")
    with pytest.raises(Refusal, match=r"conf/gate/: there is no .*brokne"):
        judged("brokne")


def test_a_metric_that_the_champion_lacks_is_undefined() -> None:
    verdict = judged(champion={"log_loss": 0.5})
    assert (verdict.promoted, verdict.rule) == (False, "holdout")


@pytest.mark.parametrize(("cost", "promoted"), [(0.0, False), (0.5, True), (float("nan"), False)])
def test_a_baseline_of_zero_is_beaten_by_any_gain(cost: float, promoted: bool) -> None:
    own = {"gain": config.Metric("operator.add", higher_is_better=True)}
    gate = msgspec.structs.replace(GATE, metric="gain", guard_metric="gain")
    verdict = judge(gate, Task("binary", [0, 1], own), {"gain": cost}, None, {"gain": 0.0})
    assert verdict.promoted == promoted
