from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.registry import guards
from {{ cookiecutter.__package }}.registry.paired import Pair
from {{ cookiecutter.__package }}.serving import bundle
from {{ cookiecutter.__package }}.tasks import Task

from .. import project

GATE = config.Gate(
    "log_loss",
    min_skill=0.02,
    min_gain=0.0,
    guard_metric="log_loss",
    max_guard_loss=None,
    confidence=0.95,
    max_calibration_loss=0.02,
    max_segment_loss=0.1,
    segment_rows=100,
    max_slowdown=3.0,
)
ROWS = 2000
TASKS: dict[config.Task, Task] = {
    "binary": Task("binary", [0, 1], {}),
    "multiclass": Task("multiclass", ["a", "b", "c"], {}),
    "regression": Task("regression", None, {}),
}
OFF: dict[str, Any] = dict.fromkeys(
    ("max_calibration_loss", "max_segment_loss", "max_slowdown", "confidence")
)


def gate(task: str, **changes: Any) -> config.Gate:
    metric = "rmse" if task == "regression" else "log_loss"
    return msgspec.structs.replace(GATE, metric=metric, **changes)


def made(task: str, rows: int = ROWS) -> tuple[Any, Any, Any]:
    """Labels, the answers of a model that knows all that can be known, and of one that errs."""
    random = np.random.default_rng(7)
    if task == "regression":
        told = random.normal(100, 30, rows)
        return told + random.normal(0, 10, rows), told, 100 + 2 * (told - 100)
    if task == "binary":
        told = random.uniform(0.05, 0.95, rows)
        off = told**3 / (told**3 + (1 - told) ** 3)
        return (random.random(rows) < told).astype(int), told, off
    told = random.dirichlet([1, 1, 1], rows) * 0.97 + 0.01
    labels = np.array([random.choice(3, p=row) for row in told])
    return labels, told, told**3 / (told**3).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("task", TASKS)
def test_a_challenger_that_is_less_calibrated_is_refused(task: Any) -> None:
    labels, good, off = made(task)
    worse = guards.calibration(gate(task), TASKS[task], Pair(labels, off, good), 10, 1)
    better = guards.calibration(gate(task), TASKS[task], Pair(labels, good, off), 10, 1)
    assert worse
    assert better
    assert "worse than the champion's" in worse.said
    assert worse.said.endswith("at most 0.02 is allowed")
    assert better.said == ""
    assert better.measured.startswith("0.")


def test_the_calibration_of_numbers_has_no_unit() -> None:
    labels, good, off = made("regression")
    task = TASKS["regression"]
    for told in (good, off):
        found = task.miscalibration(labels, told, 10)
        assert found == pytest.approx(task.miscalibration(labels / 1000, told / 1000, 10))
    assert task.miscalibration(labels, labels + labels.std() / 4, 10) == pytest.approx(0.25)


def test_a_loss_of_calibration_that_may_be_chance_is_allowed() -> None:
    labels, good, _ = made("binary", 60)
    random = np.random.default_rng(1)
    close = np.clip(good + random.normal(0, 0.03, 60), 0.01, 0.99)
    pairs = [Pair(labels, close, good), Pair(labels, good, close)]
    tight = gate("binary", max_calibration_loss=0.0)
    unsure = gate("binary", max_calibration_loss=0.0, confidence=None)
    said = [
        [found.said != "" for pair in pairs if (found := guards.calibration(g, TASK, pair, 10, 1))]
        for g in (tight, unsure)
    ]
    assert said[0] == [False, False]
    assert sorted(said[1]) == [False, True]


TASK = TASKS["binary"]


@pytest.mark.parametrize("task", TASKS)
def test_a_segment_that_loses_is_named_though_the_whole_gains(task: Any) -> None:
    labels, good, off = made(task)
    where = np.array(["AA"] * 300 + ["B6"] * (ROWS - 300))
    mask = (where == "AA").reshape(-1, *[1] * (good.ndim - 1))
    pair = Pair(labels, np.where(mask, off, good), np.where(mask, good, off))
    found = guards.by_segment(gate(task), TASKS[task], pair, {"region": list(where)}, 1)
    guard = guards.segments(gate(task), found)
    assert [one.name for one in found] == ["region AA", "region B6"]
    assert found[0].gain < 0 < found[1].gain
    assert pair.gain(guards.gain_of(TASKS[task], gate(task).metric)) > 0
    assert guard
    assert guard.rule == "max_segment_loss"
    assert "on the 300 rows with region AA is " in guard.said
    assert guard.said.endswith("at most 10.0% is allowed")


def test_a_segment_with_too_few_rows_is_not_looked_at() -> None:
    labels, good, off = made("binary")
    where = ["AA"] * 99 + ["B6"] * (ROWS - 99)
    mask = np.array(where) == "AA"
    pair = Pair(labels, np.where(mask, off, good), np.where(mask, good, off))
    found = guards.by_segment(GATE, TASK, pair, {"region": where}, 1)
    assert [one.value for one in found] == ["B6"]
    guard = guards.segments(GATE, guards.by_segment(GATE, TASK, pair, {}, 1))
    assert guard
    assert (guard.said, guard.measured) == ("", "no value of data.segments has 100 rows")


def test_a_missing_value_is_a_segment() -> None:
    labels, good, off = made("binary")
    found = guards.by_segment(GATE, TASK, Pair(labels, good, off), {"plan": [None] * ROWS}, 1)
    assert [one.name for one in found] == ["plan (missing)"]


def test_a_loss_on_a_segment_that_may_be_chance_is_told_and_allowed() -> None:
    labels, good, _ = made("binary", 120)
    rough = np.clip(good + np.random.default_rng(3).normal(0, 0.03, 120), 0.02, 0.98)
    pair = Pair(labels, rough, good)
    tight = gate("binary", max_segment_loss=0.0)
    found = guards.by_segment(tight, TASK, pair, {"all": ["x"] * 120}, 1)
    guard = guards.segments(tight, found)
    assert found[0].gain < 0
    assert found[0].interval
    assert found[0].interval.high > 0
    assert guard
    assert guard.said == ""
    unsure = gate("binary", max_segment_loss=0.0, confidence=None)
    found = guards.by_segment(unsure, TASK, pair, {"all": ["x"] * 120}, 1)
    refused = guards.segments(unsure, found)
    assert refused
    assert refused.said


class Slow:
    """A model that takes its time."""

    def __init__(self, model: bundle.Model, times: int) -> None:
        self.schema, self._one, self._times = model.schema, model.one, times

    def one(self, row: Any) -> Any:
        for _ in range(self._times):
            found = self._one(row)
        return found


def holdout(model: bundle.Model) -> dict[str, list[Any]]:
    names = [column.name for column in model.schema.asked]
    return {name: [model.manifest.smoke.row[name]] * 30 for name in names}


def test_a_model_that_answers_much_slower_is_refused(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = bundle.Model(project.bundle(1))
    slow: Any = Slow(quick, 20)
    rows = holdout(quick)
    fast = guards.slowdown(GATE, slow, quick, rows)
    assert fast
    assert fast.said == ""  # under a millisecond
    monkeypatch.setattr(guards, "FAST", 1e-9)
    found = guards.slowdown(GATE, slow, quick, rows)
    other = guards.slowdown(GATE, quick, slow, rows)
    assert found
    assert other
    assert found.rule == "max_slowdown"
    assert found.said.startswith("one answer takes more than 3 times as long as the champion's")
    assert other.said == ""


def test_a_guard_that_is_off_is_not_asked(released: Path) -> None:
    labels, good, off = made("binary")
    none = msgspec.structs.replace(GATE, **OFF)
    pair, model = Pair(labels, off, good), bundle.Model(project.bundle(1))
    assert guards.calibration(none, TASK, pair, 10, 1) is None
    found = guards.by_segment(none, TASK, pair, {"x": ["y"] * ROWS}, 1)
    assert guards.segments(none, found) is None
    assert guards.slowdown(none, model, model, holdout(model)) is None
