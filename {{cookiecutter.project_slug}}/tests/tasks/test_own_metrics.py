from pathlib import Path
from typing import Any

import numpy as np
import pytest

from {{ cookiecutter.__package }} import config, files, paths
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.tasks import Task

from .. import customers, project

LABELS, TOLD = np.array([0, 1, 1]), np.array([0.2, 0.4, 0.9])


def missed(labels: Any, predictions: Any) -> float:
    """Share of the ones that were not seen; undefined without any."""
    ones = labels == 1
    return float((predictions[ones] < 0.5).mean()) if ones.any() else float("nan")


def broken(labels: Any, predictions: Any) -> float:
    """A metric with an error."""
    raise IndexError("no such row")


def own(name: str) -> dict[str, config.Metric]:
    return {name: config.Metric(f"{__name__}.{name}", higher_is_better=False)}


def test_an_own_metric_stands_beside_the_standard_ones() -> None:
    task = Task("binary", [0, 1], own("missed"))
    assert task.score(LABELS, TOLD) == {
        **Task("binary", [0, 1], {}).score(LABELS, TOLD),
        "missed": 0.5,
    }
    assert task.gain("missed", 0.2, 0.5) == pytest.approx(0.3)


def test_an_own_metric_that_is_undefined_is_left_out() -> None:
    assert "missed" not in Task("binary", [0, 1], own("missed")).score(np.zeros(3), TOLD)


def test_a_metric_that_fails_or_is_not_there_is_named_in_one_sentence() -> None:
    with pytest.raises(Refusal, match=r"conf/evaluate/: the metric broken fails: IndexError"):
        Task("binary", [0, 1], own("broken")).score(LABELS, TOLD)
    with pytest.raises(Refusal, match=r"conf/evaluate/: there is no .*brokne"):
        Task("binary", [0, 1], own("brokne"))


def test_the_evaluate_stage_writes_it_for_all_rows_and_for_segments(empty: Path) -> None:
    metric = {"function": f"{__name__}.missed", "higher_is_better": False}
    project.write_params(evaluate__metrics={"missed": metric})
    project.run()
    found = files.read_json(paths.METRICS)
    assert 0 < found["model"]["missed"] < 1
    assert found["baseline"]["missed"] in (0, 1)
    header, first, *_ = paths.SEGMENTS.read_text(encoding="utf-8").splitlines()
    assert header.endswith(",missed")
    assert 0 <= float(first.rsplit(",", 1)[1]) <= 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"gate__metric": "mised"}, "conf/gate/: no metric is named mised"),
        ({"gate__guard_metric": "rmse"}, "conf/gate/: no metric is named rmse"),
        ({"evaluate__metrics": {"log_loss": {}}}, "not 'log_loss'"),
        ({"evaluate__metrics": {"cost €": {}}}, "not 'cost €'"),
    ],
)
def test_names_of_metrics_are_checked_before_anything_runs(changes: Any, told: str) -> None:
    for metric in changes.get("evaluate__metrics", {}).values():
        metric |= {"function": "no.such.module", "higher_is_better": False}  # nor is it imported
    with pytest.raises(Refusal, match=told):
        config.composed(customers.params(**changes))


def test_the_gate_may_judge_by_an_own_metric() -> None:
    metric = {"function": "no.such.module", "higher_is_better": False}
    config.composed(customers.params(evaluate__metrics={"missed": metric}, gate__metric="missed"))
