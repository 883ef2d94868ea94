"""What a sweep makes of its arguments, and how it ends before the first trial."""

from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.sweep import command
from {{ cookiecutter.__package }}.sweep.stop import Stop

RATE = "model.estimator.learning_rate"


def test_without_arguments_the_chosen_model_and_its_file_count(conf: Path) -> None:
    order = command.understood([])
    assert order.params.model.name == "hist_gradient_boosting"
    assert RATE in order.space
    assert order.fixed == {}


def test_overrides_choose_the_model_and_the_budget(conf: Path) -> None:
    order = command.understood(["model=random_forest", "sweep.n_trials=7", "sweep.workers=1"])
    assert order.params.model.name == "random_forest"
    assert order.params.sweep.n_trials == 7
    assert "model.estimator.max_leaf_nodes" in order.space
    assert RATE not in order.space


def test_sweeps_among_the_arguments_count_before_those_of_the_file(conf: Path) -> None:
    order = command.understood(
        [f"{RATE}=interval(0.5, 0.6)", "model.encoding=choice(ordinal, one_hot)"]
    )
    assert order.space[RATE] == FloatDistribution(0.5, 0.6)
    assert order.space["model.encoding"] == CategoricalDistribution(["ordinal", "one_hot"])
    assert "model.estimator.max_iter" in order.space


def test_a_setting_that_is_given_is_fixed_and_not_looked_for(conf: Path) -> None:
    order = command.understood([f"{RATE}=0.25", "+model.estimator.max_depth=4"])
    assert RATE not in order.space
    assert order.fixed == {RATE: 0.25, "model.estimator.max_depth": 4}
    assert order.params.model.estimator["max_depth"] == 4


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("split.holdout_partitions=2", "a sweep takes model="),
        ("~model.estimator.max_iter", "a sweep takes model="),
        ("model=random_forest,xgboost", "only settings of the model can be looked for"),
        ("sweep.folds=choice(2,3)", "only settings of the model can be looked for"),
        ("model=", "model"),
        ("model", "not Hydra's grammar"),
        ("model=perceptron", "model/perceptron"),
        ("sweep.trials=3", "trials"),
        ("sweep.folds=1", "folds"),
        ("sweep.metrics=[applause]", "conf/sweep/: no metric is named applause"),
        ("sweep.n_trials=null", "set n_trials or minutes"),
        (
            "model.estimator.learning_rte=interval(0, 1)",
            "the command: .*no setting .*learning_rate",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(argument: str, said: str, conf: Path) -> None:
    with pytest.raises(Refusal, match=said) as refused:
        command.understood([argument])
    assert "\n" not in str(refused.value)


def test_where_every_setting_is_given_nothing_is_left_to_look_for(conf: Path) -> None:
    with pytest.raises(Refusal, match=r"nothing is left to look for"):
        command.understood(["model=logistic_regression", "model.estimator.C=0.5"])


def test_what_an_earlier_result_has_set_stays_with_the_next(conf: Path) -> None:
    tuned = conf / "tuned/hist_gradient_boosting.yaml"
    tuned.parent.mkdir()
    tuned.write_text(
        "# @package model\nencoding: ordinal\nestimator: {max_depth: 4, max_iter: 60}\n"
    )
    order = command.understood([])
    assert order.fixed == {"model.encoding": "ordinal", "model.estimator.max_depth": 4}
    assert "model.estimator.max_iter" in order.space
    # The same command as that which has set it is understood again.
    assert command.understood(["+model.estimator.max_depth=4"]).fixed == order.fixed


def test_a_nested_setting_is_given_as_a_whole(conf: Path) -> None:
    order = command.understood(["+model.estimator.class_weight.1=5"])
    assert order.fixed == {"model.estimator.class_weight": {"1": 5}} or order.fixed == {
        "model.estimator.class_weight": {1: 5}
    }


def test_a_model_whose_file_has_another_name_is_refused(conf: Path) -> None:
    text = (conf / "model/random_forest.yaml").read_text()
    (conf / "model/deep.yaml").write_text(text.replace("name: random_forest", "name: deeper"))
    with pytest.raises(Refusal, match=r"no file is called deeper"):
        command.understood(["model=deep"])


def test_a_model_of_ones_own_needs_a_space(conf: Path) -> None:
    mine = "name: mine\nencoding: ordinal\nestimator:\n  _target_: sklearn.svm.SVC\n  C: 1\n"
    (conf / "model/mine.yaml").write_text(mine)
    with pytest.raises(Refusal, match=r"conf/space/mine.yaml is not there: write"):
        command.understood(["model=mine"])
    order = command.understood(["model=mine", "model.estimator.C=interval(1, 2)"])
    assert list(order.space) == ["model.estimator.C"]


def test_during_an_experiment_there_is_no_sweep(conf: Path) -> None:
    (conf / "overrides.yaml").write_text("- model.estimator.max_iter=3\n")
    with pytest.raises(Refusal, match=r"end it with `make exp`"):
        command.understood([])


def test_ctrl_c_before_the_first_trial_ends_with_a_sentence(
    conf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = Stop()

    def pressed(*arguments: str, hushed: Callable[[], bool]) -> None:
        assert not hushed()
        stop.asked = True
        assert hushed()
        raise Refusal("`dvc repro` failed")

    monkeypatch.setattr(command, "dvc", pressed)
    assert command.sweep(["model=random_forest"], stop) == command.STOPPED
    said = capsys.readouterr().out
    assert said == 'stopped; to go on: make sweep SET="model=random_forest"\n'
    stop.asked = False
    with pytest.raises(Refusal, match=r"dvc repro"):
        monkeypatch.setattr(
            command, "dvc", lambda *_, **__: (_ for _ in ()).throw(Refusal("`dvc repro`"))
        )
        command.sweep([], stop)
