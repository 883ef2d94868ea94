from typing import Any

import numpy as np
import pytest

from {{ cookiecutter.__package }}.monitoring.performance import judge, margins, student
from {{ cookiecutter.__package }}.tasks import Task

Array = np.ndarray[Any, Any]
BINARY, NUMBERS = Task("binary", [0, 1], {}), Task("regression", None, {})
SEVERAL = Task("multiclass", ["a", "b", "c"], {})


def answered(seed: int, rows: int = 2000) -> tuple[Array, Array]:
    """Labels of a model that knows its probabilities, and these."""
    random = np.random.default_rng(seed)
    told = random.beta(1, 2, rows)
    return (random.random(rows) < told).astype(int), told


def test_an_interval_of_independent_rows_is_that_of_their_mean() -> None:
    random = np.random.default_rng(1)
    labels = random.normal(size=6000)
    ((value, half),) = margins(labels, labels * 0, NUMBERS.score, ["mae"]).values()
    expected = 2.46 * np.abs(labels).std() / np.sqrt(6000)
    assert value == pytest.approx(np.abs(labels).mean())
    assert half == pytest.approx(expected, rel=0.35)


def test_an_interval_is_wider_where_neighbours_are_alike() -> None:
    labels = np.repeat(np.random.default_rng(1).normal(size=60), 100)
    together = margins(labels, labels * 0, NUMBERS.score, ["mae"])["mae"][1]
    apart = np.random.default_rng(2).permutation(labels)
    assert together > 4 * margins(apart, apart * 0, NUMBERS.score, ["mae"])["mae"][1]


def test_a_model_as_good_as_at_release_is_hardly_ever_called_worse() -> None:
    def brier(labels: Array, told: Array) -> dict[str, float]:
        return {"brier": float(((labels - told) ** 2).mean())}

    before = brier(*answered(999, 200_000))
    found = [
        judge(*answered(seed, 300), brier, before, {"brier": False}, 0.0) for seed in range(500)
    ]
    assert sum(one.worse for (one,) in found) <= 14  # 5 are expected; more once in 4,000 times


def test_flipped_labels_are_worse_in_every_metric() -> None:
    labels, told = answered(1)
    known = BINARY.score(labels, told)
    found = judge(1 - labels, told, BINARY.score, known, BINARY.higher_is_better, 0.05)
    worse = {one.metric for one in found if one.worse}
    assert {"log_loss", "brier", "roc_auc"} <= worse
    assert all(one.low <= one.value <= one.high for one in found)


def test_a_better_model_is_not_worse() -> None:
    labels, told = answered(1)
    known = BINARY.score(1 - labels, told)
    found = judge(labels, told, BINARY.score, known, BINARY.higher_is_better, 0.0)
    assert not any(one.worse for one in found if one.metric != "average_precision")


def test_what_is_tolerated_is_not_called_worse() -> None:
    random = np.random.default_rng(3)
    labels = random.normal(10, 1, 5000)
    known = {"mae": float(np.abs(labels - 10).mean()) / 1.2}
    limits = {
        loss: judge(labels, labels * 0 + 10, NUMBERS.score, known, {"mae": False}, loss)[0].worse
        for loss in (0.05, 0.25)
    }
    assert limits == {0.05: True, 0.25: False}


def test_several_classes_are_judged_too() -> None:
    random = np.random.default_rng(4)
    labels = random.integers(0, 3, 900)
    told = np.full((900, 3), 0.1)
    told[np.arange(900), labels] = 0.8
    known = SEVERAL.score(labels, told)
    found = judge((labels + 1) % 3, told, SEVERAL.score, known, SEVERAL.higher_is_better, 0.05)
    assert {one.metric for one in found if one.worse} == set(known)


def test_a_metric_that_these_labels_do_not_define_is_left_out() -> None:
    labels, told = np.zeros(300, dtype=int), np.linspace(0.1, 0.4, 300)
    known = {"log_loss": 0.3, "roc_auc": 0.7}
    found = judge(labels, told, BINARY.score, known, BINARY.higher_is_better, 0.05)
    assert [one.metric for one in found] == ["log_loss"]


@pytest.mark.parametrize(("degrees", "exact"), [(5, 3.3649), (10, 2.7638), (29, 2.462)])
def test_the_quantile_is_close_to_the_exact_one(degrees: int, exact: float) -> None:
    assert student(0.99, degrees) == pytest.approx(exact, rel=0.02)
