import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.tasks import multiclass

LABELS = np.array([0, 1, 2, 2, 1, 0])
PREDICTIONS = np.array(
    [
        [0.7, 0.2, 0.1],
        [0.3, 0.4, 0.3],
        [0.1, 0.1, 0.8],
        [0.5, 0.3, 0.2],
        [0.2, 0.5, 0.3],
        [0.6, 0.3, 0.1],
    ]
)
SETTINGS = config.Evaluate(threshold=0.5, calibration_bins=3, interval=0.9)


def test_the_metrics_are_what_they_are_called() -> None:
    found = multiclass.score(LABELS, PREDICTIONS)
    assert set(found) == set(multiclass.HIGHER_IS_BETTER)
    assert found["log_loss"] == pytest.approx(log_loss(LABELS, PREDICTIONS))
    assert found["accuracy"] == pytest.approx(5 / 6)
    answers = [0, 1, 2, 0, 1, 0]
    assert found["macro_f1"] == pytest.approx(f1_score(LABELS, answers, average="macro"))
    hits = np.eye(3)[LABELS]
    assert found["brier"] == pytest.approx(((hits - PREDICTIONS) ** 2).sum() / 6)


def test_a_class_that_does_not_occur_breaks_no_metric() -> None:
    few = LABELS < 2
    assert multiclass.score(LABELS[few], PREDICTIONS[few])["accuracy"] == 1.0


def test_the_baseline_tells_the_rate_of_every_class_also_of_one_unseen() -> None:
    assert multiclass.baseline(LABELS, 4).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])


def test_the_confusion_counts_every_row_once_under_its_class() -> None:
    names = ["cat", "dog", "owl"]
    curves = multiclass.curves(LABELS, {"model": PREDICTIONS}, SETTINGS, names)
    _, rows = curves["confusion"]
    counts = {(actual, predicted): count for _, actual, predicted, count in rows}
    assert counts["owl", "cat"] == counts["owl", "owl"] == 1
    assert counts["cat", "cat"] == counts["dog", "dog"] == 2
    assert sum(int(str(count)) for count in counts.values()) == len(LABELS)


def test_the_surest_answers_come_first_in_the_coverage_curve() -> None:
    _, rows = multiclass.curves(LABELS, {"model": PREDICTIONS}, SETTINGS, ["a", "b", "c"])[
        "coverage"
    ]
    assert rows[0][1:] == (pytest.approx(1 / 6), 1.0)
    assert rows[-1][1:] == (1.0, pytest.approx(5 / 6))
