"""The driver against crews that score by a formula: totals, pruning, failures, interruptions."""

import time
from collections import Counter
from typing import Any

import msgspec
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial, TrialState

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.sweep import drive
from {{ cookiecutter.__package }}.sweep.score import Job
from {{ cookiecutter.__package }}.sweep.space import Space
from {{ cookiecutter.__package }}.sweep.stop import Stop

from .conftest import SETTINGS, SPACE, begun
from .crews import Cut, Made

pytestmark = pytest.mark.filterwarnings("ignore:The reported value is ignored")
X = "model.estimator.x"
WEIGHTS = [1.0, 0.5, 0.25]


def good(job: Job) -> list[float]:
    """The nearer to a half the better, more so on later folds."""
    return [(job.values[X] - 0.5) ** 2 + job.fold]


def driven(
    study: optuna.Study, crew: Made, stop: Stop | None = None, **changes: Any
) -> tuple[bool, list[int]]:
    """Whether the study came to its end, and which trials ended in what order."""
    told: list[int] = []
    settings: config.Sweep = msgspec.structs.replace(SETTINGS, **changes)
    driver = drive.Driver(study, SPACE, WEIGHTS, settings, crew, stop or Stop(), told.append)
    return driver.run(), told


def states(study: optuna.Study) -> dict[str, int]:
    return dict(Counter(trial.state.name for trial in study.trials))


def test_it_ends_with_the_total_asked_and_the_mean_of_the_folds(study: optuna.Study) -> None:
    crew = Made(good)
    ended, told = driven(study, crew)
    assert ended
    assert states(study) == {"COMPLETE": 12}
    assert sorted(told) == list(range(12))
    for trial in study.trials:
        mean = (trial.params[X] - 0.5) ** 2 + (0.5 + 0.25 * 2) / 1.75
        assert trial.value == pytest.approx(mean)
        assert list(trial.intermediate_values) == [0, 1, 2]
    assert Counter((job.trial, job.fold) for job in crew.jobs) == {
        (trial, fold): 1 for trial in range(12) for fold in range(3)
    }


def test_asked_again_it_does_nothing_and_asked_for_more_it_goes_on(study: optuna.Study) -> None:
    driven(study, Made(good))
    again = Made(good)
    assert driven(study, again) == (True, [])
    assert again.jobs == []
    assert sorted(driven(study, Made(good), n_trials=15)[1]) == [12, 13, 14]
    assert states(study) == {"COMPLETE": 15}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("cut", range(0, 36, 5))
def test_killed_at_any_answer_the_next_one_finishes_the_rest(
    cut: int, workers: int, study: optuna.Study, storage: str
) -> None:
    first = Made(good, workers, cut)
    with pytest.raises(Cut):
        driven(study, first)
    left = [trial.number for trial in study.trials if trial.state == TrialState.RUNNING]
    second = Made(good, workers)
    resumed = begun(storage, seed=2)
    assert driven(resumed, second)[0]
    assert states(resumed) == {"COMPLETE": 12}
    values = [tuple(trial.params.items()) for trial in resumed.trials]
    assert len(set(values)) == 12
    answered = len(first.jobs) - len(first.at_work)
    assert answered + len(second.jobs) == 36  # no fold that was answered is scored again
    for job in second.jobs[: min(workers, len(left))]:
        assert job.trial in left  # what was under way is finished first


@pytest.mark.parametrize("moment", range(0, 60, 7))
def test_killed_between_any_two_writes_the_next_one_finishes_the_rest(
    moment: int, study: optuna.Study, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = 0

    def cut_off(name: str) -> None:
        real = getattr(optuna.storages.RDBStorage, name)

        def write(*arguments: Any, **named: Any) -> Any:
            nonlocal writes
            writes += 1
            if writes > moment:
                raise Cut
            return real(*arguments, **named)

        patch.setattr(optuna.storages.RDBStorage, name, write)

    with pytest.MonkeyPatch.context() as patch:
        for name in (
            "create_new_trial",
            "set_trial_param",
            "set_trial_user_attr",
            "set_trial_intermediate_value",
            "set_trial_state_values",
        ):
            cut_off(name)
        with pytest.raises(Cut):
            driven(study, Made(good))
    resumed = begun(storage, seed=2)
    assert driven(resumed, Made(good))[0]
    assert states(resumed) == {"COMPLETE": 12}
    assert all(X in trial.params for trial in resumed.trials)


def test_trials_under_way_are_finished_though_fewer_are_asked(study: optuna.Study) -> None:
    with pytest.raises(Cut):
        driven(study, Made(good, workers=3, cut=11))
    assert "RUNNING" in states(study)
    assert driven(study, Made(good), n_trials=1)[0]
    assert set(states(study)) == {"COMPLETE"}


class Late(optuna.pruners.BasePruner):
    """Prunes every other trial after its second fold."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        return trial.number % 2 == 1 and trial.last_step == 1


def test_what_is_pruned_goes_no_further_and_counts(study: optuna.Study) -> None:
    study.pruner = Late()
    crew = Made(good)
    assert driven(study, crew)[0]
    assert states(study) == {"COMPLETE": 6, "PRUNED": 6}
    assert max(job.fold for job in crew.jobs if job.trial % 2) == 1


def test_a_trial_that_fails_is_kept_with_its_traceback_and_the_rest_go_on(
    study: optuna.Study,
) -> None:
    def flawed(job: Job) -> list[float] | str:
        return "ValueError: odd" if job.trial == 4 and job.fold == 1 else good(job)

    assert driven(study, Made(flawed))[0]
    assert states(study) == {"COMPLETE": 11, "FAIL": 1}
    assert study.trials[4].user_attrs["error"] == "ValueError: odd"
    assert study.trials[4].user_attrs["traceback"] == "Traceback of 4"


def test_too_many_failures_end_it_and_the_commonest_cause_is_named(study: optuna.Study) -> None:
    def bad(job: Job) -> list[float] | str:
        return "KeyError: rare" if job.trial == 1 else f"ValueError: {job.trial}.5 rows are few"

    with pytest.raises(Refusal) as refused:
        driven(study, Made(bad))
    assert "4 of 4 trials have failed, more than max_failed 30%" in str(refused.value)
    assert "3 of them by ValueError: " in str(refused.value)
    # What failed before does not count against whoever has mended it.
    assert driven(study, Made(good))[0]
    assert states(study) == {"FAIL": 4, "COMPLETE": 8}


def test_ctrl_c_leaves_what_is_under_way_to_the_next_run(study: optuna.Study) -> None:
    stop = Stop()

    def pressed(job: Job) -> list[float]:
        stop.asked = job.trial == 5
        return good(job)

    assert not driven(study, Made(pressed), stop)[0]
    assert states(study)["RUNNING"] in (1, 2)
    assert driven(study, Made(good))[0]
    assert states(study) == {"COMPLETE": 12}


def test_minutes_end_it_and_are_not_given_anew(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def slow(job: Job) -> list[float]:
        nonlocal now
        now += 7.0
        return good(job)

    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert driven(study, Made(slow, workers=1), n_trials=None, minutes=1)[0]
    count = len(study.trials)
    assert count == 3  # of 21 seconds each; the third began at 42
    assert driven(study, Made(slow, workers=1), n_trials=None, minutes=1) == (True, [])
    assert driven(study, Made(slow, workers=1), n_trials=None, minutes=2)[0]
    assert len(study.trials) == 6


def test_several_metrics_have_a_direction_each_and_no_pruning(storage: str) -> None:
    study = optuna.create_study(
        storage=storage, directions=["minimize", "maximize"], pruner=Late(),
        sampler=optuna.samplers.RandomSampler(seed=1),
    )  # fmt: skip

    def both(job: Job) -> list[float]:
        return [job.values[X], job.values[X] * 2]

    assert driven(study, Made(both))[0]
    assert states(study) == {"COMPLETE": 12}
    assert all(trial.values[1] == pytest.approx(2 * trial.values[0]) for trial in study.trials)


def test_what_pruners_see_tells_nothing_of_how_hard_a_fold_is(study: optuna.Study) -> None:
    hard = [7.0, 3.0, 5.0]

    def uneven(job: Job) -> list[float]:
        return [job.values[X] + hard[job.fold]]

    assert driven(study, Made(uneven))[0]
    reference = study.user_attrs["reference"]
    for trial in study.trials:
        assert trial.value == pytest.approx(trial.params[X] + (7 + 0.5 * 3 + 0.25 * 5) / 1.75)
        seen = list(trial.intermediate_values.values())
        firsts = [
            trial.params[X] + more - first for more, first in zip(hard, reference, strict=True)
        ]
        assert seen[0] == pytest.approx(firsts[0])
        assert seen[1] == pytest.approx((firsts[0] + 0.5 * firsts[1]) / 1.5)
        assert max(seen) - min(seen) < 1


def test_a_sampler_that_has_tried_all_there_is_ends_the_study(storage: str) -> None:
    kinds: Space = {X: IntDistribution(1, 3)}
    sampler = optuna.samplers.GridSampler({X: [1, 2, 3]})
    study = optuna.create_study(storage=storage, sampler=sampler)
    crew = Made(lambda job: [float(job.values[X])], workers=1)
    assert drive.Driver(study, kinds, WEIGHTS, SETTINGS, crew, Stop(), lambda _: None).run()
    assert states(study) == {"COMPLETE": 3}
