import numpy as np
import pytest

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.registry import paired
from {{ cookiecutter.__package }}.registry.guards import gain_of
from {{ cookiecutter.__package }}.registry.paired import Pair
from {{ cookiecutter.__package }}.tasks import Task

RANDOM = np.random.default_rng(7)
LABELS = RANDOM.normal(0, 1, 400)
NOISE = RANDOM.normal(0, 1, (2, 400))
MAE = gain_of(Task("regression", None, {}), "mae")


def pair(better: float, groups: object = None) -> Pair:
    """Two models with errors of their own; the challenger's are smaller by a share."""
    challenger, champion = LABELS + NOISE[0] * (1 - better), LABELS + NOISE[1]
    return Pair(LABELS, challenger, champion, None if groups is None else np.array(groups))


def test_the_interval_holds_the_gain_and_is_as_wide_as_theory_says() -> None:
    found = pair(0.2).interval(MAE, 0.95, 1)
    assert found
    both = pair(0.2)
    gains = np.abs(both.champion - LABELS) - np.abs(both.challenger - LABELS)
    error = 1.96 * gains.std() / 20
    assert found.gain == pytest.approx(gains.mean())
    assert found.low == pytest.approx(found.gain - error, abs=0.3 * error)
    assert found.high == pytest.approx(found.gain + error, abs=0.3 * error)
    assert str(found) == f"95% interval {found.low:+.4f} to {found.high:+.4f}"


def test_more_confidence_is_a_wider_interval() -> None:
    sure, surer = (pair(0.2).interval(MAE, confidence, 1) for confidence in (0.5, 0.99))
    assert sure
    assert surer
    assert surer.low < sure.low < sure.gain < sure.high < surer.high


def test_the_same_seed_gives_the_same_interval_and_another_one_nearly() -> None:
    one, again, other = (pair(0.1).interval(MAE, 0.95, seed) for seed in (1, 1, 2))
    assert one
    assert other
    assert one == again != other
    assert other.low == pytest.approx(one.low, abs=0.02)


def test_answers_to_the_same_row_are_drawn_together() -> None:
    # The champion's error plus a constant: whichever rows are drawn, the gain is the same.
    found = Pair(LABELS, LABELS + 1.0, LABELS + 1.5).interval(MAE, 0.95, 1)
    assert found
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))


def test_rows_of_a_group_are_drawn_together() -> None:
    alone = pair(0.2).interval(MAE, 0.95, 1)
    copies = np.repeat(np.arange(400), 4)  # every row four times tells no more than once
    four = pair(0.2).of(copies)
    blind = four.interval(MAE, 0.95, 1)
    told = Pair(four.labels, four.challenger, four.champion, copies).interval(MAE, 0.95, 1)
    assert alone
    assert blind
    assert told
    assert told.high - told.low == pytest.approx(alone.high - alone.low, rel=0.2)
    assert told.low == pytest.approx(alone.low, abs=0.2 * (alone.high - alone.low))
    assert blind.high - blind.low < 0.7 * (told.high - told.low)


def test_of_many_rows_some_are_drawn_and_the_width_is_that_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = pair(0.2).interval(MAE, 0.95, 1)
    sizes = set()

    def watched(labels: object, challenger: object, champion: object) -> float:
        sizes.add(len(labels))  # type: ignore[arg-type]
        return MAE(labels, challenger, champion)  # type: ignore[arg-type]

    monkeypatch.setattr(paired, "ROWS", 100)
    few = pair(0.2).interval(watched, 0.95, 1)
    assert sizes == {100, 400}
    assert every
    assert few
    assert few.high - few.low == pytest.approx(every.high - every.low, rel=0.25)


def test_a_single_row_or_group_proves_nothing() -> None:
    assert pair(0.2).of(np.array([0])).interval(MAE, 0.95, 1) is None
    assert pair(0.2, ["one"] * 400).interval(MAE, 0.95, 1) is None


def test_a_metric_that_most_resamples_leave_undefined_gives_no_interval() -> None:
    area = gain_of(Task("binary", [0, 1], {}), "roc_auc")
    labels, told = np.array([0] * 30 + [1]), np.linspace(0, 1, 31)
    assert Pair(labels, told, told[::-1]).interval(area, 0.95, 1)  # a third has no 1
    assert Pair(labels * 0, told, told[::-1]).interval(area, 0.95, 1) is None


def test_equal_models_are_seldom_taken_for_better() -> None:
    promoted = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        labels = random.normal(0, 1, 300)
        challenger, champion = labels + random.normal(0, 1, (2, 300))
        found = Pair(labels, challenger, champion).interval(MAE, 0.95, seed)
        assert found
        promoted += found.low > 0
    assert promoted <= 8  # 2.5 expected; 50 without the interval


def test_an_own_metric_has_an_interval_too() -> None:
    own = {"far": config.Metric(f"{__name__}.far", higher_is_better=False)}
    found = pair(0.5).interval(gain_of(Task("regression", None, own), "far"), 0.95, 1)
    assert found
    assert 0 < found.low < found.gain < found.high


def far(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Share of answers that are far off."""
    return float((np.abs(labels - predictions) > 1).mean())
