"""Which training rows judge a trial: never the holdout, and in tables with time the later ones."""

import numpy as np
from numpy.typing import NDArray

from .. import config, paths, table
from ..cli import Refusal

Blocks = NDArray[np.int64]


def blocks(roles: config.Roles, split: config.Split, classes: bool, folds: int) -> Blocks:
    """The block of each row of the training file, shape (rows,), counted from 0.

    By time there are `folds` + 1 of as many rows each; rows of one moment share theirs. By hash
    there are `folds`, each with its share of every class, or of the groups.
    """
    if split.holdout_share is None:
        count = folds + 1
        order = table.quoted(roles.time) if roles.time else "file_row_number"
        ranked = f"rank() OVER (ORDER BY {order} NULLS FIRST) - 1"
        block = f"({ranked}) * {count} // count(*) OVER ()"
    elif roles.group:
        count = folds
        block = f"(md5_number_lower({table.quoted(roles.group)}::VARCHAR) % {folds})"
    else:
        count = folds
        alike = f"PARTITION BY {table.quoted(roles.target)}" if classes else ""
        order = f"md5({table.quoted(roles.key)}::VARCHAR)"
        block = f"(row_number() OVER ({alike} ORDER BY {order}) - 1) % {folds}"
    query = f"SELECT ({block})::BIGINT FROM read_parquet(?, file_row_number = true)"
    found = table.rows(f"{query} ORDER BY file_row_number", paths.TRAIN.as_posix())
    numbers = np.array(found, dtype=np.int64).reshape(-1)
    empty = set(range(count)) - set(np.unique(numbers).tolist())
    if empty:
        raise Refusal(
            f"conf/sweep/: {len(numbers)} training rows do not make {folds} folds: "
            f"{len(empty)} of {count} parts have no row; set fewer folds"
        )
    return numbers


def masks(numbers: Blocks, by_time: bool, fold: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The rows that train and the rows that judge in a fold, both of shape (rows,)."""
    if by_time:
        return numbers <= fold, numbers == fold + 1
    return numbers != fold, numbers == fold


def check(
    numbers: Blocks, by_time: bool, folds: int, labels: NDArray[np.int64], names: list[str]
) -> None:
    """Refuse folds in which a class is not there to be learnt."""
    for fold in range(folds):
        train, _ = masks(numbers, by_time, fold)
        missing = set(range(len(names))) - set(np.unique(labels[train]).tolist())
        if missing:
            said = ", ".join(names[code] for code in sorted(missing))
            raise Refusal(
                f"conf/sweep/: in fold {fold + 1} no row that trains has the label {said}; "
                "set fewer folds, or take more partitions in"
            )
