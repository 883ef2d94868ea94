import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from {{ cookiecutter.__package }} import config, paths, table, tasks
from {{ cookiecutter.__package }}.pipeline import train
from {{ cookiecutter.__package }}.sweep import folds, score
from {{ cookiecutter.__package }}.sweep.command import scorer_of

from .. import customers, project

RATE = "model.estimator.learning_rate"


@pytest.fixture(scope="module")
def scorer(built_evaluated: Path) -> Iterator[score.Scorer]:
    with project.inside(built_evaluated):
        yield scorer_of(config.check(customers.params(), config.Params, ""))


def test_a_fold_is_scored_by_the_train_stage_s_own_fit(
    scorer: score.Scorer, built_evaluated: Path
) -> None:
    found = score.Scorer.score(scorer, score.Job(0, {RATE: 0.3}, 1))
    with project.inside(built_evaluated):
        kinds = table.inputs()
        rows = table.frame(paths.TRAIN, [*kinds, "churned", "signed_up"])
    early, late = (folds.masks(scorer.blocks, True, 1)[side] for side in (0, 1))
    assert rows["signed_up"][early].max() < rows["signed_up"][late].min()
    model = config.check(customers.PARAMS["model"], config.Model, "")
    model.estimator["learning_rate"] = 0.3
    pipeline = train.fit(model, rows[early], kinds, "churned", [0, 1], 1)
    labels = rows["churned"][late].to_numpy(np.int64)
    told = pipeline.predict_proba(rows[late][list(kinds)])[:, 1]
    assert found.values == [tasks.KINDS["binary"].score(labels, told)["log_loss"]]
    assert (found.trial, found.fold, found.error) == (0, 1, "")


def test_the_holdout_is_never_read(evaluated: Path, scorer: score.Scorer) -> None:
    paths.HOLDOUT.unlink()
    for path in paths.RAW.glob("*"):
        path.unlink()
    params = config.check(customers.params(), config.Params, "")
    job = score.Job(0, {}, 2)
    assert scorer_of(params).score(job).values == scorer.score(job).values


@pytest.mark.parametrize(
    ("values", "said"),
    [({RATE: -1.0}, "InvalidParameterError: The 'learning_rate'"), ({RATE: "x"}, "'x'")],
)
def test_an_estimator_that_fails_is_an_answer_with_its_traceback(
    values: dict[str, object], said: str, scorer: score.Scorer
) -> None:
    found = scorer.score(score.Job(3, values, 0))
    assert said in found.error
    assert "\n" not in found.error
    assert "sklearn" in found.traceback  # where it was raised, not where it was reported
    assert found.values == []


def test_a_score_that_is_no_number_is_a_failure(scorer: score.Scorer) -> None:
    own = {"odd": config.Metric(f"{__name__}.odd", True)}
    found = replace(scorer, own_metrics=own, metrics=["log_loss", "odd"]).score(score.Job(0, {}, 0))
    assert found.error == "ValueError: odd is nan"


def test_neither_fitting_nor_predicting_takes_more_than_its_threads(
    scorer: score.Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Predicting:
        def predict(self, pipeline: object, rows: Any) -> NDArray[Any]:
            asked.extend(one["num_threads"] for one in threadpool_info())
            return np.full(len(rows), 0.5)

        def measure(self, metric: str, labels: object, predictions: object) -> float:
            return 0.0

    with threadpool_limits(2):
        monkeypatch.setattr(tasks, "Task", lambda *_: Predicting())
        assert scorer.score(score.Job(0, {}, 0)).values == [0.0]
    assert asked
    assert set(asked) == {1}


def odd(labels: object, predictions: object) -> float:
    return math.nan


def test_values_reach_the_settings_they_are_named_after() -> None:
    model = config.Model("m", "ordinal", {"_target_": "x", "a": 1, "b": 2}, study="old")
    found = score.with_values(model, {"model.estimator.b": 3, "model.encoding": "one_hot"})
    assert found == config.Model("m", "one_hot", {"_target_": "x", "a": 1, "b": 3})
    assert model.estimator["b"] == 2
