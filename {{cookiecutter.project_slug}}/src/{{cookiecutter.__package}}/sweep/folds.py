"""Which training rows judge a trial: never the holdout, and in tables with time the later ones."""

import numpy as np
from numpy.typing import NDArray

from .. import config, paths, table
from ..cli import Refusal

Blocks = NDArray[np.int64]
Rows = NDArray[np.bool_]


def blocks(roles: config.Roles, split: config.Split, classes: bool, folds: int) -> Blocks:
    """The block of each row of the training file, shape (rows,), counted from 0.

    By time there are twice as many as `folds`, of as many rows each; rows of one moment share
    theirs. By hash there are `folds`, each with its share of every class; rows of one group, or of
    one key where keys come again, share theirs.
    """
    by_time = split.holdout_share is None
    count = 2 * folds if by_time else folds
    source, file = "read_parquet(?, file_row_number = true)", paths.TRAIN.as_posix()
    key = f"{table.quoted(roles.key)}::VARCHAR"
    if by_time:
        order = table.quoted(roles.time) if roles.time else "file_row_number"
        block = f"(rank() OVER (ORDER BY {order} NULLS FIRST) - 1) * {count} // count(*) OVER ()"
    elif roles.group:
        together = f"coalesce({table.quoted(roles.group)}::VARCHAR, {key})"
        block = f"md5_number_lower({together}) % {count}"
    elif table.rows(f"SELECT count(*) > count(DISTINCT {key}) FROM {source}", file) == [(True,)]:
        block = f"md5_number_lower({key}) % {count}"
    else:
        alike = f"PARTITION BY {table.quoted(roles.target)}" if classes else ""
        block = f"(row_number() OVER ({alike} ORDER BY md5({key})) - 1) % {count}"
    query = f"SELECT ({block})::BIGINT FROM {source} ORDER BY file_row_number"
    numbers = np.array(table.rows(query, file), dtype=np.int64).reshape(-1)
    if empty := count - len(np.unique(numbers)):
        raise Refusal(
            f"conf/sweep/: {len(numbers)} training rows do not make {folds} folds: "
            f"{empty} of {count} parts have no row; set fewer folds"
        )
    return numbers


def masks(numbers: Blocks, by_time: bool, fold: int) -> tuple[Rows, Rows]:
    """The rows that train and the rows that judge in a fold, both of shape (rows,).

    By time the newest part judges first, and what is older than a part trains: half of the rows at
    least. So each fold is near to what the train stage does, the first one most.
    """
    judge = numbers.max() - fold if by_time else fold
    return numbers < judge if by_time else numbers != judge, numbers == judge


def check(
    numbers: Blocks, by_time: bool, folds: int, labels: NDArray[np.int64], names: list[str]
) -> None:
    """Refuse folds in which a class cannot be learnt, or all that judge is of one."""
    for fold in range(folds):
        trains, judges = masks(numbers, by_time, fold)
        absent = set(range(len(names))) - set(np.unique(labels[trains]).tolist())
        said = f"no row that trains has the label {', '.join(names[code] for code in absent)}"
        if not absent:
            if len(set(labels[judges].tolist())) > 1:
                continue
            said = "all rows that judge have the same label"
        raise Refusal(
            f"conf/sweep/: in fold {fold + 1} {said}; set fewer folds, or take more partitions in"
        )
