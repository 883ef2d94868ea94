"""Tables without time: which rows judge depends on the rows themselves, and never changes."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from {{ cookiecutter.__package }} import paths

from .. import customers, project

SHARE = {"max_categories": 200, "holdout_share": 0.25}


@pytest.fixture
def hashed(tmp_path: Path) -> Iterator[Path]:
    """Inside a project whose rows are split by hash."""
    with project.inside(tmp_path):
        project.write_params(split=SHARE)
        project.run("ingest", "validate", "split")
        yield tmp_path


def held_out() -> set[int]:
    return set(customers.read(paths.HOLDOUT)["customer_id"])


def split(partitions: int) -> None:
    project.write_params(partitions=customers.MONTHS[:partitions], split=SHARE)
    project.run("ingest", "validate", "split")


def test_every_labelled_row_is_on_one_side(hashed: Path) -> None:
    train = set(customers.read(paths.TRAIN)["customer_id"])
    months = customers.PARAMS["partitions"]
    frames = [customers.frame(month).dropna(subset="churned") for month in months]
    assert train.isdisjoint(held_out())
    assert train | held_out() == set(pd.concat(frames)["customer_id"])


def test_the_share_holds_in_each_class_of_each_partition(hashed: Path) -> None:
    judging = held_out()
    for month in customers.PARAMS["partitions"]:
        for _, rows in customers.frame(month).dropna(subset="churned").groupby("churned"):
            here = rows["customer_id"].isin(judging).sum()
            assert 0 <= here - 0.25 * len(rows) < 1  # rounded up


def test_a_row_that_judges_goes_on_judging_when_partitions_come_or_go(hashed: Path) -> None:
    before = held_out()
    split(6)
    after = held_out()
    assert before < after
    split(2)
    assert held_out() < before


def test_rows_of_one_group_are_on_one_side(hashed: Path) -> None:
    roles = customers.PARAMS["data"]["roles"] | {"group": "region"}
    columns = {n: c for n, c in customers.PARAMS["data"]["columns"].items() if n != "region"}
    most = SHARE | {"holdout_share": 0.7}
    project.write_params(split=most, data__roles=roles, data__columns=columns)
    project.run("ingest", "validate", "split")
    months = pd.concat([customers.frame(month) for month in customers.PARAMS["partitions"]])
    sides = months.dropna(subset="churned").groupby("region")["customer_id"].agg(set)
    judging = held_out()
    assert all(ids <= judging or ids.isdisjoint(judging) for ids in sides)
    assert any(ids <= judging for ids in sides)
    assert any(ids.isdisjoint(judging) for ids in sides)
    train = customers.read(paths.TRAIN)  # where sweeps fold by group, too
    assert set(train["region"]) == set(months["region"]) - set(
        customers.read(paths.HOLDOUT)["region"]
    )


def test_the_same_rows_give_the_same_bytes(hashed: Path) -> None:
    before = [paths.TRAIN.read_bytes(), paths.HOLDOUT.read_bytes()]
    project.run("split")
    assert [paths.TRAIN.read_bytes(), paths.HOLDOUT.read_bytes()] == before


def test_rare_categories_are_missing_in_training_only(hashed: Path) -> None:
    split_all = SHARE | {"max_categories": 2}
    project.write_params(split=split_all)
    project.run("ingest", "validate", "split")
    train, holdout = customers.read(paths.TRAIN), customers.read(paths.HOLDOUT)
    counts = train["from"].value_counts()
    assert len(counts) == 2
    assert train["from"].isna().any()
    assert len(holdout["from"].unique()) == 3
    gone = (set(holdout["from"]) - set(counts.index)).pop()
    months = pd.concat([customers.frame(month) for month in customers.PARAMS["partitions"]])
    of_train = months[months["customer_id"].isin(train["customer_id"])]["from"].value_counts()
    assert of_train.idxmin() == gone
