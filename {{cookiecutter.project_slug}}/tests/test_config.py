from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.cli import Refusal

from . import customers, project


def check(**changes: object) -> config.Params:
    return config.composed(customers.params(**changes))


def test_sections_are_read_as_types(empty: Path) -> None:
    data = config.read("data", config.Data)
    assert data.roles.key == "customer_id"
    assert data.columns["age"] == config.Column("numeric", min=18, max=120, description="in years")
    assert config.read("partitions", list[str]) == customers.PARAMS["partitions"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"gate__min_gian": 1}, "min_gian"),
        ({"data__columns__age__maximum": 1}, "maximum"),
        ({"seed": "seven"}, "$.seed"),
        ({"gate__metric": "accuracy"}, "accuracy"),
        ({"data__columns__age__type": "number"}, "$.data.columns"),
        ({"model__encoding": "target"}, "target"),
        ({"partitions": [2024]}, "$.partitions[0]"),
    ],
)
def test_a_wrong_value_is_named_in_one_sentence(changes: dict[str, object], named: str) -> None:
    with pytest.raises(Refusal) as refused:
        check(**changes)
    assert named in str(refused.value)
    assert "conf/" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_value_is_named() -> None:
    params = customers.params()
    del params["data"]["roles"]["target"]
    with pytest.raises(Refusal, match="target"):
        config.composed(params)


def test_a_column_name_that_a_request_cannot_hold_is_refused_before_training() -> None:
    # msgspec has no field names with a double quote or a backslash
    columns = {'say "hi"': {"type": "numeric"}}
    with pytest.raises(Refusal, match='say "hi"'):
        check(data__columns=columns, data__segments=[])


def test_a_segment_that_is_no_column_is_refused_before_training() -> None:
    with pytest.raises(Refusal, match="colour"):
        check(data__segments=["colour"])


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with project.inside(tmp_path), pytest.raises(Refusal, match="dvc repro compose"):
        config.read("seed", int)


def test_a_missing_section_is_named(empty: Path) -> None:
    with pytest.raises(Refusal, match="'sed'"):
        config.read("sed", int)


def test_a_key_within_a_section_can_be_read_alone(empty: Path) -> None:
    assert config.read("data.roles", config.Roles).time == "signed_up"
    with pytest.raises(Refusal, match=r"'data\.rules'"):
        config.read("data.rules", config.Roles)
