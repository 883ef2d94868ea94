from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import config, paths, table
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.pipeline import split

from .. import customers, project


def ids(path: Path) -> list[int]:
    return list(customers.read(path)["customer_id"])


def test_no_row_is_on_both_sides_and_every_labelled_one_is_on_one(evaluated: Path) -> None:
    train, holdout = ids(paths.TRAIN), ids(paths.HOLDOUT)
    labelled = {
        key
        for month in customers.PARAMS["partitions"]
        for key in customers.frame(month).dropna(subset="churned")["customer_id"]
    }
    assert set(train).isdisjoint(holdout)
    assert len(train) + len(holdout) == len(labelled)
    assert {*train, *holdout} == labelled


def test_what_judges_comes_after_what_trains(evaluated: Path) -> None:
    train, holdout = customers.read(paths.TRAIN), customers.read(paths.HOLDOUT)
    assert train["signed_up"].max() < holdout["signed_up"].min()


def test_rows_without_a_label_are_left_out(evaluated: Path) -> None:
    frame = customers.frame("2024-04")
    assert frame["churned"].isna().any()
    assert ids(paths.HOLDOUT) == list(frame[frame["churned"].notna()]["customer_id"])


def test_values_arrive_as_they_were(evaluated: Path) -> None:
    frame = customers.frame("2024-04").dropna(subset="churned")
    found = customers.read(paths.HOLDOUT)
    income = "annual income (€)"
    assert found[income].equals(frame[income].reset_index(drop=True))
    assert list(found["region"]) == [str(region) for region in frame["region"]]
    assert list(found["churned"]) == list(frame["churned"])


def test_numbers_become_doubles_and_categories_text(evaluated: Path) -> None:
    types = {row[0]: row[1] for row in table.rows(f"DESCRIBE FROM '{paths.TRAIN}'")}
    assert {types[name] for name in customers.NUMERIC} == {"DOUBLE"}
    assert {types[name] for name in customers.CATEGORICAL} == {"VARCHAR"}
    assert types["churned"] == "TINYINT"


def test_the_same_data_give_the_same_bytes(evaluated: Path) -> None:
    before = [paths.TRAIN.read_bytes(), paths.HOLDOUT.read_bytes()]
    split.main()
    assert [paths.TRAIN.read_bytes(), paths.HOLDOUT.read_bytes()] == before


def test_only_the_window_before_the_holdout_trains(evaluated: Path) -> None:
    project.write_params(split__train_partitions=2)
    split.main()
    assert {key // 1000 for key in ids(paths.TRAIN)} == {202402, 202403}
    assert {key // 1000 for key in ids(paths.HOLDOUT)} == {202404}


def test_a_window_longer_than_the_past_takes_all_of_it() -> None:
    rule = config.Split(200, 1, train_partitions=9)
    assert split.sides(["1", "2", "3"], rule) == (["1", "2"], ["3"])


def test_several_partitions_can_judge() -> None:
    assert split.sides(["1", "2", "3"], config.Split(200, 2)) == (["1"], ["2", "3"])


@pytest.mark.parametrize("holdout", [3, 4])
def test_a_holdout_of_everything_is_refused(holdout: int) -> None:
    with pytest.raises(Refusal, match=f"holdout_partitions {holdout} .* 3 partitions"):
        split.sides(["1", "2", "3"], config.Split(200, holdout))


@pytest.mark.parametrize("name", ["holdout_partitions", "train_partitions"])
@pytest.mark.parametrize("count", [0, -1])
def test_a_side_without_a_partition_is_refused(count: int, name: str) -> None:
    with pytest.raises(Refusal, match=rf">= 1.*\.{name}"):
        config.composed(customers.params(**{f"split__{name}": count}))
