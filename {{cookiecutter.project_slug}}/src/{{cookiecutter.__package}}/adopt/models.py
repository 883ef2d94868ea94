"""The files of conf/model/ and of sweeps, brought in line with the task and the number of rows."""

import re
from pathlib import Path

from ..config import Task

SMALL = 2_000  # rows up to which milder settings are chosen
MILD = "# Few rows: shallow trees, fewer of them, which learn less by heart.\n"
MILDER = {
    "max_iter": "100",
    "max_leaf_nodes": "8",
    "min_samples_leaf": "10",
    "l2_regularization": "1.0",
}
ESTIMATOR = re.compile(r"^(  _target_: \S+?)(?:Classifier|Regressor)$", re.MULTILINE)
LINEAR = """\
name: {name}
encoding: one_hot # one column a category, numbers scaled, missing numbers take the median
estimator:
  _target_: sklearn.linear_model.{estimator}
  {strength}: 1.0
  max_iter: 1000
"""
SPACE = """\
# Where `make sweep` looks, in the grammar of Hydra's sweeps; docs/sweeps.md has it.
model.estimator.{strength}: tag(log, interval(0.001, 100))
"""
SEED = "  random_state: ${seed}\n"


def texts(folder: Path, task: Task, rows: int) -> dict[Path, str | None]:
    """What each file that changes is to hold, those of sweeps too; None for one that goes."""
    kind = "Regressor" if task == "regression" else "Classifier"
    found: dict[Path, str | None] = {}
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        if ESTIMATOR.search(text):
            found[path] = ESTIMATOR.sub(rf"\1{kind}", text)
    boosting = folder / "hist_gradient_boosting.yaml"
    if rows < SMALL and (milder := found.get(boosting)) and not milder.startswith(MILD):
        for name, value in MILDER.items():
            milder = re.sub(rf"^(  {name}: )\S+", rf"\g<1>{value}", milder, flags=re.MULTILINE)
        found[boosting] = MILD + milder
    logistic = LINEAR.format(
        name="logistic_regression", estimator="LogisticRegression", strength="C"
    )
    ridge = LINEAR.format(name="ridge", estimator="Ridge", strength="alpha")
    regression = task == "regression"
    found[folder / "ridge.yaml"] = ridge + SEED if regression else None
    found[folder / "logistic_regression.yaml"] = None if regression else logistic + SEED
    spaces = folder.parent / "space"
    found[spaces / "ridge.yaml"] = SPACE.format(strength="alpha") if regression else None
    logistic = SPACE.format(strength="C")
    found[spaces / "logistic_regression.yaml"] = None if regression else logistic
    # What was found for another table says nothing about this one.
    found |= dict.fromkeys((folder.parent / "tuned").glob("*.yaml"))
    return {path: text for path, text in found.items() if text or path.exists()}
