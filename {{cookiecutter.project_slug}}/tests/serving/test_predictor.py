"""The corners of the predictor that no table of customers reaches; test_portable has the rest."""

from typing import Any

import numpy as np
import pytest

from {{ cookiecutter.__package }}.serving import predictor
from {{ cookiecutter.__package }}.serving.predictor import Linear, Trees, sigmoid

SINGLE = np.finfo(np.float32)


def beside(numbers: np.ndarray) -> np.ndarray:
    """Numbers and their neighbours in double precision."""
    return np.concatenate([np.nextafter(numbers, -np.inf), numbers, np.nextafter(numbers, np.inf)])


def test_a_number_is_within_reach_when_it_is_not_above_the_threshold_in_single_precision() -> None:
    random = np.random.default_rng(7)
    exact = (random.normal(size=300) * 10.0 ** random.integers(-40, 30, 300)).astype(np.float32)
    middles = (exact.astype(float) + np.nextafter(exact, np.float32(np.inf))) / 2
    few = np.array([0.0, -0.0, SINGLE.max, SINGLE.tiny, SINGLE.smallest_subnormal, -SINGLE.max])
    thresholds = beside(np.concatenate([random.normal(size=300), exact, middles, few]))
    for threshold, reach in zip(thresholds, predictor._reach(thresholds), strict=True):
        single = np.float32(threshold)
        neighbours = np.nextafter(single, np.array([-np.inf, np.inf], np.float32)).astype(float)
        tried = beside(np.array([threshold, float(single), reach, *neighbours]))
        tried = tried[np.abs(tried) < SINGLE.max]
        expected = tried.astype(np.float32).astype(float) <= threshold
        np.testing.assert_array_equal(tried <= reach, expected)


def test_a_threshold_at_infinity_stays_there() -> None:
    assert predictor._reach(np.array([np.inf, -np.inf])).tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize("x", [0.0, 1.0, -1.0, 36.7, -36.7, 700.0, -700.0, 800.0, -800.0, np.inf])
def test_log_odds_become_probabilities_without_overflow(x: float) -> None:
    with np.errstate(over="raise"):
        found = float(sigmoid(np.array([x]))[0])
    assert found == pytest.approx(1 / (1 + np.exp(-np.longdouble(x))), rel=1e-15)


@pytest.mark.parametrize("total", [0.0, 5.5, -5.5, 800.0, -800.0])
def test_both_ways_turn_log_odds_into_the_same_probability(total: float) -> None:
    leaves = np.zeros((1, 64, 1))
    leaves[0, 0] = total
    arrays = {"masks_0": np.ones((2, 1), dtype=np.uint64), "thresholds_0": np.array([])}
    meta: dict[str, Any] = {"columns": 1, "base": [0.0], "link": "logit"}
    trees = Trees(arrays | {"leaves": leaves}, meta | {"float32": False, "scale": 1, "outputs": 1})
    weights = {"weights_0": np.array([total]), "scaling_0": np.array([0.0, 0.0, 1.0])}
    linear = Linear(weights, meta)
    for form in (trees, linear):
        (found,) = form.predict([np.array([1.0])])
        assert form.one([1.0]) == pytest.approx(found, rel=1e-15)
        assert found == pytest.approx(float(sigmoid(np.array([total]))[0]), rel=1e-15)
