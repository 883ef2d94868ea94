"""Optuna's own loop over the very objective of `make sweep`; runs in a project's environment.

    python optuna_loop.py <package> <trials> <threads> <storage>

No MLflow, nothing to resume: `study.optimize` as its documentation shows it.
"""

import sys
from importlib import import_module

import optuna


def main() -> None:
    """Draw at random, score on all folds, in so many threads."""
    package, trials, threads, storage = sys.argv[1:]
    command = import_module(f"{package}.sweep.command")
    space = import_module(f"{package}.sweep.space")
    job = import_module(f"{package}.sweep.score").Job
    order = command.understood(["sweep.pruner=null"])
    scorer = command.scorer_of(order.params)
    folds = order.params.sweep.folds

    def objective(trial: optuna.Trial) -> float:
        values = space.suggest(trial, order.space)
        scores = [scorer.score(job(trial.number, values, fold)) for fold in range(folds)]
        errors = [score.error for score in scores if score.error]
        if errors:
            raise RuntimeError(errors[0])
        return float(sum(score.values[0] for score in scores) / folds)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=1))
    study.enqueue_trial(space.present(order.space, order.params.model))
    study.optimize(objective, n_trials=int(trials), n_jobs=int(threads))


if __name__ == "__main__":
    main()
