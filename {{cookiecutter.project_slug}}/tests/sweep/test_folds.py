from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package }} import config, paths
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.sweep import folds

from .. import customers

ROLES = config.check(customers.PARAMS["data"]["roles"], config.Roles, "")
BY_TIME = config.check(customers.PARAMS["split"], config.Split, "")
BY_HASH = config.Split(max_categories=9, holdout_share=0.2)


def rows(count: int = 400, **columns: Any) -> pd.DataFrame:
    """Training rows in no order, written where they belong."""
    random = np.random.default_rng(1)
    made = {
        "customer_id": random.permutation(count),
        "signed_up": pd.Timestamp("2024-01-01")
        + pd.to_timedelta(random.permutation(count), unit="h"),
        "churned": (np.arange(count) % 10 == 0).astype(np.int8),
        "shop": random.integers(0, 40, count),
    }
    found = pd.DataFrame(made | columns)
    customers.write(found, paths.TRAIN)
    return found


def test_by_time_what_judges_is_later_than_what_trains_and_the_newest_comes_first(
    empty: Path,
) -> None:
    found = rows()
    blocks = folds.blocks(ROLES, BY_TIME, True, 4)
    newest = found["signed_up"].max()
    for fold in range(4):
        trains, judges = folds.masks(blocks, True, fold)
        assert found["signed_up"][judges].max() == newest
        assert found["signed_up"][trains].max() < found["signed_up"][judges].min()
        assert judges.sum() == 50
        assert trains.sum() == 350 - 50 * fold  # never less than half of the rows
        newest = found["signed_up"][trains].max()


def test_rows_of_one_moment_are_never_cut_apart(empty: Path) -> None:
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(400) // 40, unit="D")
    found = rows(signed_up=days)
    blocks = folds.blocks(ROLES, BY_TIME, True, 3)
    assert (found.assign(block=blocks).groupby("signed_up")["block"].nunique() == 1).all()
    assert set(blocks) == set(range(6))


def test_a_table_in_order_without_a_time_is_cut_in_its_order(empty: Path) -> None:
    rows()
    blocks = folds.blocks(msgspec.structs.replace(ROLES, time=None), BY_TIME, True, 4)
    assert (np.diff(blocks) >= 0).all()
    assert np.bincount(blocks).tolist() == [50] * 8


def test_without_time_each_row_judges_once_and_classes_have_their_shares(empty: Path) -> None:
    found = rows()
    blocks = folds.blocks(ROLES, BY_HASH, True, 4)
    judged = np.stack([folds.masks(blocks, False, fold)[1] for fold in range(4)])
    assert (judged.sum(axis=0) == 1).all()
    for fold in range(4):
        trains, judges = folds.masks(blocks, False, fold)
        assert (trains ^ judges).all()
        assert found["churned"][judges].sum() == 10
    shuffled = found.sample(frac=1, random_state=2)
    customers.write(shuffled, paths.TRAIN)
    again = folds.blocks(ROLES, BY_HASH, True, 4)
    assert dict(zip(shuffled["customer_id"], again, strict=True)) == dict(
        zip(found["customer_id"], blocks, strict=True)
    )


def test_rows_of_a_group_stay_together(empty: Path) -> None:
    found = rows()
    blocks = folds.blocks(msgspec.structs.replace(ROLES, group="shop"), BY_HASH, True, 3)
    assert (found.assign(block=blocks).groupby("shop")["block"].nunique() == 1).all()


@pytest.mark.parametrize("shop", [None, 7.0])
def test_rows_without_a_group_are_folded_by_their_keys(shop: float | None, empty: Path) -> None:
    rows(shop=np.where(np.arange(400) < 390, np.nan, 7.0 if shop is None else shop))
    blocks = folds.blocks(msgspec.structs.replace(ROLES, group="shop"), BY_HASH, True, 3)
    assert len(set(blocks[390:])) == 1
    assert np.bincount(blocks[:390]).min() > 100


def test_keys_that_come_again_stay_together_and_where_they_are(empty: Path) -> None:
    found = rows(customer_id=np.arange(400) % 80)
    blocks = folds.blocks(ROLES, BY_HASH, True, 4)
    assert (found.assign(block=blocks).groupby("customer_id")["block"].nunique() == 1).all()
    for _ in range(3):
        assert (folds.blocks(ROLES, BY_HASH, True, 4) == blocks).all()


@pytest.mark.parametrize("split", [BY_TIME, BY_HASH])
def test_too_few_rows_for_the_folds_are_refused(split: config.Split, empty: Path) -> None:
    rows(3)
    with pytest.raises(Refusal, match=r"3 training rows do not make 4 folds.*fewer folds"):
        folds.blocks(ROLES, split, False, 4)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([1, 1, 1, 1], r"in fold 1 no row that trains has the label stays"),
        ([0, 1, 0, 0], r"in fold 1 all rows that judge have the same label"),
    ],
)
def test_a_fold_that_can_teach_or_tell_nothing_is_refused(labels: list[int], said: str) -> None:
    blocks = np.repeat([0, 1, 2, 3], 10)
    known = np.repeat(labels, 10)
    with pytest.raises(Refusal, match=f"{said}.*fewer folds"):
        folds.check(blocks, True, 2, known, ["stays", "leaves"])
    folds.check(blocks, True, 2, np.arange(40) % 2, ["stays", "leaves"])
