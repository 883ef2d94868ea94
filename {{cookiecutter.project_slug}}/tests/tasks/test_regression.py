import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.tasks import regression

RANDOM = np.random.default_rng(3)
LABELS = RANDOM.normal(50, 10, 200)
PREDICTIONS = LABELS + RANDOM.normal(0, 4, 200)
SETTINGS = config.Evaluate(threshold=0.5, calibration_bins=5, interval=0.9)


def test_the_metrics_are_what_they_are_called() -> None:
    found = regression.score(LABELS, PREDICTIONS)
    assert found == {
        "rmse": pytest.approx(root_mean_squared_error(LABELS, PREDICTIONS)),
        "mae": pytest.approx(mean_absolute_error(LABELS, PREDICTIONS)),
        "r2": pytest.approx(r2_score(LABELS, PREDICTIONS)),
    }


def test_labels_that_do_not_vary_have_no_r2() -> None:
    assert set(regression.score(np.ones(3), np.zeros(3))) == {"rmse", "mae"}


def test_the_baseline_has_an_r2_of_zero_on_its_own_labels() -> None:
    told = regression.baseline(LABELS, 0)
    assert regression.score(LABELS, np.full(200, told))["r2"] == pytest.approx(0)


def test_the_interval_holds_at_least_its_share_of_rows_and_no_smaller_one_does() -> None:
    width = regression.half_width(LABELS, PREDICTIONS, 0.9)
    assert width is not None
    inside = np.abs(LABELS - PREDICTIONS) <= width
    assert inside.sum() == 181  # (200 + 1) * 0.9, rounded up


def test_the_interval_holds_its_share_of_rows_that_come_later() -> None:
    width = regression.half_width(LABELS, PREDICTIONS, 0.9)
    later = np.abs(np.random.default_rng(4).normal(0, 4, 20_000))
    assert 0.85 < (later <= width).mean() < 0.95


def test_few_rows_have_no_interval() -> None:
    assert regression.half_width(LABELS[:8], PREDICTIONS[:8], 0.9) is None
    assert regression.half_width(LABELS[:9], PREDICTIONS[:9], 0.9) is not None


def test_the_error_curve_reaches_all_rows_at_the_largest_error() -> None:
    curves = regression.curves(LABELS, {"model": PREDICTIONS}, SETTINGS, [])
    _, rows = curves["errors"]
    assert rows[-1] == ("model", pytest.approx(np.abs(LABELS - PREDICTIONS).max()), 1.0)
    assert len(curves["calibration"][1]) == 5
