"""Columns that know the target: alone nearly sure of it, or filled in only once it is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..table import quoted
from ..tables.reading import connected
from .profile import Profile
from .roles import Role

ROWS = 5_000  # of the sample, at most
FOLDS = 3
SURE = {"binary": 0.995, "multiclass": 0.98, "regression": 0.99}  # see `_skill`
TOLD = 0.97  # share of one class among rows with (or without) a value
USUAL = 0.8  # share up to which that class may be the usual one
SOME = 30  # rows that such a share is taken of
Array = NDArray[Any]


@dataclass(frozen=True)
class Target:
    """What is to be learnt: the column, its task and, where it has classes, their values."""

    name: str
    task: str
    code: str  # SQL of the class's code, or of the number


def leaking(table: Profile, roles: Mapping[str, Role], target: Target) -> dict[str, str]:
    """The reason for each column that knows the target; on a sample, seeded, cross-validated."""
    names = [name for name in roles if name != target.name]
    found: dict[str, str] = {}
    for start in range(0, len(names), 200):
        some = names[start : start + 200]
        labels, columns = _read(table, some, roles, target)
        if target.task != "regression" and np.unique(labels, return_counts=True)[1].min() < FOLDS:
            return {}  # of a rare class the sample knows too little
        for name in some:
            if why := _why(columns[name], labels, roles[name], target):
                found[name] = why
    return found


def _read(
    table: Profile, names: Sequence[str], roles: Mapping[str, Role], target: Target
) -> tuple[Array, dict[str, Array]]:
    """Labels, shape (n,), and each column as numbers, shape (n,), NaN where it is missing."""
    parts = []
    for name in names:
        column = quoted(name)
        if roles[name].type == "numeric":
            number = f"TRY_CAST({column} AS DOUBLE)"
            parts.append(f"CASE WHEN isfinite({number}) THEN {number} END")
        else:
            parts.append(
                f"CASE WHEN {column} IS NOT NULL THEN dense_rank() OVER (ORDER BY {column}) END"
            )
    labelled = f"SELECT * FROM {table.sample} WHERE {target.code} IS NOT NULL"
    with connected(table.scratch) as connection:
        found = connection.execute(
            f"SELECT {', '.join([target.code, *parts])} "
            f"FROM (SELECT one.* FROM ({labelled}) AS one ORDER BY hash(one) LIMIT {ROWS})"
        ).fetchnumpy()
    labels, *columns = (
        np.ma.filled(np.ma.asarray(c).astype(float), np.nan) for c in found.values()
    )
    return labels, dict(zip(names, columns, strict=True))


def _why(values: Array, labels: Array, role: Role, target: Target) -> str:
    if role.type == "constant":
        return _filled(values, labels, target)
    if role.type in ("numeric", "categorical"):
        skill = _skill(values, labels, target.task)
        if skill >= SURE[target.task]:
            measure = {"binary": "AUC", "multiclass": "accuracy", "regression": "R2 of ranks"}
            return f"alone predicts {target.name} with {measure[target.task]} {skill:.3f}"
    return _filled(values, labels, target)


def _skill(values: Array, labels: Array, task: str) -> float:
    """How well a small tree on the one column tells the labels, on rows it has not seen.

    Area under the ROC curve, balanced accuracy, or R2 of the ranks, so that a logarithm of the
    target counts as the target.
    """
    from sklearn.metrics import balanced_accuracy_score, r2_score, roc_auc_score
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    rows = values.reshape(-1, 1)
    small = {"min_samples_leaf": 2, "random_state": 0}
    if task == "regression":
        labels = np.searchsorted(np.sort(labels), labels)
        tree, folds = DecisionTreeRegressor(**small), KFold(FOLDS, shuffle=True, random_state=0)
        measure = r2_score
    else:
        tree = DecisionTreeClassifier(**small)
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        measure = balanced_accuracy_score
    told = tree.fit(rows, labels).predict(rows)
    if measure(labels, told) < 0.9:  # not even on the rows it has seen
        return 0.0
    if task == "binary":
        probabilities = cross_val_predict(tree, rows, labels, cv=folds, method="predict_proba")
        return float(roc_auc_score(labels, probabilities[:, 1]))
    return float(measure(labels, cross_val_predict(tree, rows, labels, cv=folds)))


def _filled(values: Array, labels: Array, target: Target) -> str:
    """Why a column's being filled in, or not, tells the class; empty when it does not."""
    if target.task == "regression":
        return ""
    missing = np.isnan(values)
    classes, counts = np.unique(labels, return_counts=True)
    for here, word in ((~missing, "filled in"), (missing, "missing")):
        if not SOME <= here.sum() <= len(labels) - SOME:
            continue
        shares = [(labels[here] == one).mean() for one in classes]
        most = int(np.argmax(shares))
        if shares[most] >= TOLD and counts[most] / len(labels) <= USUAL:
            return f"{word} (nearly) only where {target.name} is one class: known afterwards?"
    return ""
