import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.cli import Busy, Refusal
from {{ cookiecutter.__package }}.sweep import study
from {{ cookiecutter.__package }}.sweep.score import Scorer
from {{ cookiecutter.__package }}.sweep.space import Space

from .. import customers
from .conftest import SETTINGS, SPACE

MODEL = config.check(customers.PARAMS["model"], config.Model, "")
SCORER = Scorer(
    rows=pd.DataFrame(),
    blocks=np.array([0, 0, 1, 1, 2]),
    by_time=True,
    kinds={"age": "numeric"},
    target="churned",
    task="binary",
    classes=[0, 1],
    own_metrics={},
    metrics=["log_loss"],
    weights=[1.0, 0.5],
    model=MODEL,
    threads=1,
)
DEEPER = msgspec.structs.replace(MODEL, estimator={**MODEL.estimator, "max_depth": 3})


def own(better: bool) -> dict[str, Any]:
    metric = {"log_loss_2": config.Metric("tests.customers.params", better)}
    return {"own_metrics": metric, "metrics": ["log_loss_2"]}


@pytest.mark.parametrize(
    "changed",
    [
        {"blocks": np.array([0, 1, 1, 1, 2])},
        {"metrics": ["roc_auc"]},
        {"metrics": ["log_loss", "roc_auc"]},
        {"model": DEEPER},
        {"classes": [1, 0]},
        {"weights": [1.0, 1.0]},
        {"kinds": {"age": "categorical"}},
        own(True),
        own(False),
    ],
)
def test_what_changes_a_score_begins_another_study(changed: dict[str, Any]) -> None:
    names = {study.name(replace(SCORER, **changed), SPACE, "md5"), study.name(SCORER, SPACE, "md5")}
    assert len(names) == 2
    assert all(name.startswith("hist_gradient_boosting-") for name in names)


def test_other_rows_and_another_space_begin_another_study_too() -> None:
    other: Space = {"model.estimator.x": FloatDistribution(0, 2)}
    names = [
        study.name(SCORER, SPACE, "a"),
        study.name(SCORER, SPACE, "b"),
        study.name(SCORER, other, "a"),
    ]
    assert len(set(names)) == 3
    assert study.name(replace(SCORER, **own(True)), SPACE, "a") != study.name(
        replace(SCORER, **own(False)), SPACE, "a"
    )


def test_what_was_found_before_does_not_begin_another_study() -> None:
    tuned = msgspec.structs.replace(
        MODEL, estimator={**MODEL.estimator, "x": 0.25}, study="a study, trial 3"
    )
    assert study.name(replace(SCORER, model=tuned), SPACE, "a") == study.name(SCORER, SPACE, "a")


def test_a_setting_that_is_looked_for_is_no_part_of_the_name_whatever_it_is() -> None:
    space = SPACE | {"model.encoding": CategoricalDistribution(["ordinal", "one_hot"])}
    other = msgspec.structs.replace(MODEL, encoding="one_hot")
    assert study.name(replace(SCORER, model=other), space, "a") == study.name(SCORER, space, "a")
    assert study.name(replace(SCORER, model=other), SPACE, "a") != study.name(SCORER, SPACE, "a")


def test_metrics_that_are_not_used_are_no_part_of_the_name() -> None:
    unused = {"another": config.Metric("tests.customers.params", True)}
    assert study.name(replace(SCORER, own_metrics=unused), SPACE, "a") == study.name(
        SCORER, SPACE, "a"
    )


def test_the_settings_of_today_are_tried_first_and_once(empty: Path) -> None:
    today = {"model.estimator.x": 0.25}
    for _ in range(2):
        with study.opened("s", ["minimize"], SETTINGS, today) as opened:
            assert [trial.system_attrs["fixed_params"] for trial in opened.trials] == [today]


def test_a_resumed_study_draws_what_it_has_not_drawn_yet(empty: Path) -> None:
    drawn = []
    for _ in range(2):
        with study.opened("s", ["minimize"], SETTINGS, None) as opened:
            for _ in range(3):
                trial = opened.ask()
                drawn.append(trial.suggest_float("x", 0, 1))
                opened.tell(trial, 0.0)
    assert len(set(drawn)) == 6


def test_two_drivers_of_one_study_are_kept_apart(
    empty: Path, elsewhere: Callable[[str], None]
) -> None:
    elsewhere("sweep-s")
    with pytest.raises(Busy), study.opened("s", ["minimize"], SETTINGS, None):
        pass
    with study.opened("another", ["minimize"], SETTINGS, None):
        pass


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (
            "postgresql+psycopg://nobody@127.0.0.1:9/x",
            r"OPTUNA_STORAGE",
        ),
        ("nonsense", "OPTUNA_STORAGE"),
        ("sqlite:////nowhere/at/all.db", "unable to open database file"),
    ],
)
def test_a_storage_that_does_not_answer_is_one_sentence_without_its_password(
    address: str, said: str, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTUNA_STORAGE", address.replace("nobody@", "nobody:secret@"))
    opened = study.opened("s", ["minimize"], SETTINGS, None)
    with pytest.raises(Refusal, match=said) as refused, opened:
        pass
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sampler": {"_target_": "optuna.samplers.TPESampler", "sed": 1}},
        {"pruner": {"_target_": "x.Y"}},
    ],
)
def test_a_sampler_or_pruner_that_is_none_is_refused_by_place(
    wrong: dict[str, Any], empty: Path
) -> None:
    settings = msgspec.structs.replace(SETTINGS, **wrong)
    opened = study.opened("s", ["minimize"], settings, None)
    with pytest.raises(Refusal, match=r"conf/sweep/"), opened:
        pass


def test_the_best_is_by_the_first_metric_in_its_direction(storage: str) -> None:
    made = optuna.create_study(directions=["maximize", "minimize"])
    assert study.best(made) is None
    for values in ([1.0, 1.0], [3.0, 2.0], [2.0, 3.0]):
        trial = made.ask()
        trial.suggest_float("x", 0, 1)
        made.tell(trial, values)
    found = study.best(made)
    assert found and found.values == [3.0, 2.0]
    assert json.dumps(study.counts(made)) == '{"COMPLETE": 3}'
