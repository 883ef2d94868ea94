"""What MLflow costs a trial of `make sweep`; runs in a project's environment.

    python sweep_overhead.py <package> <trials>

Prints the seconds that following so many trials of five settings and four folds took, as the driver
does it, one trial at a time.
"""

import sys
import time
from importlib import import_module

import optuna


def main() -> None:
    """Tell trials to a study, and time only what the record does."""
    package, trials = sys.argv[1], int(sys.argv[2])
    record = import_module(f"{package}.sweep.record").Record
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    study.set_user_attr("identity", "overhead")
    kept = record(study, "overhead", ["log_loss"], {})
    kept.follow()  # connects, which is no trial's cost
    spent = 0.0
    for _ in range(trials):
        trial = study.ask()
        value = sum(trial.suggest_float(f"model.estimator.setting_{n}", 0, 1) for n in range(5))
        trial.set_user_attr("scores", [[value]] * 4)
        study.tell(trial, value)
        began = time.perf_counter()
        kept.follow()
        spent += time.perf_counter() - began
    if kept.trouble:
        raise RuntimeError(kept.trouble)
    print(spent)


if __name__ == "__main__":
    main()
