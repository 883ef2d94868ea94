import msgspec
import pytest

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.registry.gate import Metrics, Verdict, judge
from {{ cookiecutter.__package }}.registry.guards import Guard
from {{ cookiecutter.__package }}.registry.paired import Interval
from {{ cookiecutter.__package }}.tasks import Task

GATE = config.Gate(
    metric="log_loss", min_skill=0.1, min_gain=0.0, guard_metric="roc_auc", max_guard_loss=0.01
)
TASK = Task("binary", [0, 1], {})
BASELINE: Metrics = {"log_loss": 0.6, "roc_auc": 0.5}


def judged(
    log_loss: float,
    roc_auc: float = 0.8,
    champion: Metrics | None = None,
    gate: config.Gate = GATE,
) -> Verdict:
    return judge(gate, TASK, {"log_loss": log_loss, "roc_auc": roc_auc}, champion, BASELINE)


def test_a_first_model_that_beats_the_baseline_is_promoted() -> None:
    verdict = judged(0.53)
    assert (verdict.promoted, verdict.rule) == (True, "min_skill")
    assert "first model" in verdict.reason
    assert "0.5300 against the baseline's 0.6000" in verdict.reason


def test_a_first_model_hardly_better_than_the_baseline_is_refused() -> None:
    verdict = judged(0.55)
    assert (verdict.promoted, verdict.rule) == (False, "min_skill")
    assert "8.3% better, 10.0% needed" in verdict.reason


def test_the_absolute_rule_holds_for_later_models_too() -> None:
    verdict = judged(0.55, champion={"log_loss": 0.7, "roc_auc": 0.5})
    assert (verdict.promoted, verdict.rule) == (False, "min_skill")


def test_a_better_model_is_promoted() -> None:
    verdict = judged(0.40, champion={"log_loss": 0.41, "roc_auc": 0.8})
    assert (verdict.promoted, verdict.rule) == (True, "min_gain")
    assert "gain +0.0100" in verdict.reason


@pytest.mark.parametrize("log_loss", [0.41, 0.45])
def test_an_equal_or_worse_model_is_refused(log_loss: float) -> None:
    verdict = judged(log_loss, champion={"log_loss": 0.41, "roc_auc": 0.8})
    assert (verdict.promoted, verdict.rule) == (False, "min_gain")
    assert "against the champion's 0.4100" in verdict.reason


def test_a_gain_below_the_one_asked_for_is_refused() -> None:
    gate = config.Gate("log_loss", 0.1, 0.05, "roc_auc", 0.01)
    assert not judged(0.40, champion={"log_loss": 0.44, "roc_auc": 0.8}, gate=gate).promoted
    assert judged(0.38, champion={"log_loss": 0.44, "roc_auc": 0.8}, gate=gate).promoted


def test_a_better_model_may_not_lose_on_the_guard_metric() -> None:
    verdict = judged(0.40, roc_auc=0.78, champion={"log_loss": 0.41, "roc_auc": 0.8})
    assert (verdict.promoted, verdict.rule) == (False, "max_guard_loss")
    assert "roc_auc 0.7800 is 0.0200 worse than the champion's 0.8000" in verdict.reason


def test_a_small_loss_on_the_guard_metric_is_allowed() -> None:
    assert judged(0.40, roc_auc=0.795, champion={"log_loss": 0.41, "roc_auc": 0.8}).promoted


def test_a_metric_where_more_is_better_is_read_the_other_way() -> None:
    gate = config.Gate("roc_auc", 0.1, 0.0, "log_loss", 0.01)
    champion = {"log_loss": 0.5, "roc_auc": 0.8}
    assert judged(0.5, roc_auc=0.81, champion=champion, gate=gate).promoted
    assert judged(0.5, roc_auc=0.79, champion=champion, gate=gate).rule == "min_gain"
    assert judged(0.52, roc_auc=0.81, champion=champion, gate=gate).rule == "max_guard_loss"


def test_a_holdout_of_one_label_refuses_and_says_why() -> None:
    verdict = judge(GATE, TASK, {"log_loss": 0.1}, {"log_loss": 0.2}, {"log_loss": 0.6})
    assert (verdict.promoted, verdict.rule) == (False, "holdout")
    assert "roc_auc is undefined on this holdout" in verdict.reason


@pytest.mark.parametrize("champion", [None, {"log_loss": 0.41, "roc_auc": 0.8}])
def test_no_answer_is_never_good_enough(champion: Metrics | None) -> None:
    nan = float("nan")
    assert not judged(nan, champion=champion).promoted
    assert not judged(0.40, roc_auc=nan, champion=champion).promoted or champion is None


def test_the_verdict_keeps_the_figures_it_was_made_on() -> None:
    champion = {"log_loss": 0.41, "roc_auc": 0.8}
    verdict = judged(0.40, champion=champion)
    assert verdict.challenger == {"log_loss": 0.40, "roc_auc": 0.8}
    assert (verdict.champion, verdict.baseline) == (champion, BASELINE)


OLD = {"log_loss": 0.41, "roc_auc": 0.8}
SURE = msgspec.structs.replace(GATE, confidence=0.95)


def sure(low: float, high: float, gate: config.Gate = SURE, *guards: Guard) -> Verdict:
    interval = Interval(0.01, low, high, 0.95)
    new = {"log_loss": 0.40, "roc_auc": 0.8}
    return judge(gate, TASK, new, OLD, BASELINE, interval, guards)


def test_a_gain_beyond_chance_is_promoted_and_says_how_sure_it_is() -> None:
    verdict = sure(0.004, 0.016)
    assert (verdict.promoted, verdict.rule) == (True, "min_gain")
    assert verdict.reason.endswith("gain +0.0100 (95% interval +0.0040 to +0.0160)")


def test_a_gain_that_may_be_chance_is_refused() -> None:
    verdict = sure(-0.001, 0.021)
    assert (verdict.promoted, verdict.rule) == (False, "confidence")
    assert "gain +0.0100 (95% interval -0.0010 to +0.0210), which may be chance" in verdict.reason
    assert verdict.reason.endswith("more than +0.0000 needed at the lower end, too")


def test_without_confidence_the_gain_alone_decides() -> None:
    assert sure(-0.001, 0.021, GATE).promoted


def test_a_model_about_as_good_is_let_in_where_the_gate_allows_a_loss() -> None:
    tolerant = msgspec.structs.replace(SURE, min_gain=-0.002)
    assert sure(-0.001, 0.021, tolerant).promoted
    assert sure(-0.003, 0.023, tolerant).rule == "confidence"


def test_a_holdout_too_small_for_an_interval_proves_nothing() -> None:
    verdict = judge(SURE, TASK, {"log_loss": 0.40, "roc_auc": 0.8}, OLD, BASELINE)
    assert (verdict.promoted, verdict.rule) == (False, "confidence")
    assert "the rows are too few" in verdict.reason


def test_a_guard_refuses_what_would_have_been_promoted_and_only_that() -> None:
    held, broken = Guard("max_slowdown", "1", "3"), Guard("max_segment_loss", "2", "1", "AA loses")
    assert sure(0.004, 0.016, SURE, held).promoted
    verdict = sure(0.004, 0.016, SURE, held, broken)
    assert (verdict.promoted, verdict.rule) == (False, "max_segment_loss")
    assert verdict.reason.endswith(", but AA loses")
    assert [guard.rule for guard in verdict.guards] == [
        "max_guard_loss",
        "max_slowdown",
        "max_segment_loss",
    ]
    assert sure(-0.001, 0.016, SURE, broken).rule == "confidence"


def test_a_guard_metric_that_is_off_need_not_be_defined() -> None:
    off = msgspec.structs.replace(GATE, max_guard_loss=None)
    verdict = judge(off, TASK, {"log_loss": 0.1}, {"log_loss": 0.2}, {"log_loss": 0.6})
    assert verdict.promoted
    assert verdict.guards == ()
