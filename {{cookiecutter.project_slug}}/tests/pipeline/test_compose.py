import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from {{ cookiecutter.__package }} import config, paths
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.pipeline import compose

from .. import project

CONF = project.ROOT / "conf"
NO_GROUPS = ("space", "tuned")  # of sweeps: lines to try, and what goes into `model`
DEFAULTS = [f"{x}" for x in OmegaConf.load(CONF / "config.yaml").defaults]
CHOICES = sorted(
    f"{group.name}={choice.stem}"
    for group in CONF.iterdir()
    if group.is_dir() and group.name not in NO_GROUPS
    for choice in group.glob("*.yaml")
    if str({group.name: choice.stem}) not in DEFAULTS  # these compose in every other test
)


@cache
def composed(*overrides: str) -> dict[str, Any]:
    return compose.compose(CONF, [*overrides])


def leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A copy of conf/ to break."""
    return Path(shutil.copytree(CONF, tmp_path / "conf"))


def test_conf_composes_to_all_the_types() -> None:
    params = config.check(composed(), config.Params, "conf/")
    assert params.data.columns
    assert params.data.roles.target not in params.data.columns
    assert set(params.data.segments) <= set(params.data.columns)


@pytest.mark.parametrize("choice", CHOICES)
def test_every_other_choice_of_every_group_composes(choice: str) -> None:
    group, _, name = choice.partition("=")
    params = composed(choice)
    assert group in params
    if group == "model":
        assert params[group]["name"] == name


def test_nothing_of_this_machine_or_moment_is_composed() -> None:
    for text in map(str, leaves(composed())):
        assert not text.startswith(("/", "~", "file:", "sqlite:"))
        assert "???" not in text
        assert "${" not in text


def test_the_same_conf_gives_the_same_bytes(tmp_path: Path, conf: Path) -> None:
    with project.inside(tmp_path):
        compose.main()
        before = paths.PARAMS.read_bytes()
        compose.main()
        assert paths.PARAMS.read_bytes() == before


def test_overrides_reach_the_value_and_nothing_else() -> None:
    before, after = composed(), composed("gate.min_gain=0.25")
    assert after["gate"].pop("min_gain") == 0.25
    assert after == before | {"gate": {k: v for k, v in before["gate"].items() if k != "min_gain"}}


@pytest.mark.parametrize("written", ["1e-3", "1e-05", "2.0"])
def test_a_number_stays_a_number_on_its_way_to_the_stage(
    written: str, tmp_path: Path, conf: Path
) -> None:
    (conf / "model" / "mine.yaml").write_text(
        f"name: mine\nencoding: ordinal\nestimator:\n  _target_: x\n  rate: {written}\n"
    )
    with project.inside(tmp_path):
        (conf / "overrides.yaml").write_text("- model=mine\n")
        compose.main()
        assert config.read("model", config.Model).estimator["rate"] == float(written)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("gate.min_gian=1", "min_gian"),
        ("+gate.min_gian=1", "min_gian"),
        ("seed=seven", "seed"),
        ("gate.metric=applause", "applause"),
        ("model=perceptron", "model/perceptron"),
        ("model.estimator.learning_rate=${nothing}", "nothing"),
        ("gate.min_gain", "gate.min_gain"),
    ],
)
def test_what_does_not_compose_is_named_in_one_sentence(override: str, named: str) -> None:
    with pytest.raises(Refusal) as refused:
        compose.compose(CONF, [override])
    assert named in str(refused.value)
    assert "conf/" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_key_in_a_file_is_named(conf: Path) -> None:
    with (conf / "gate" / "default.yaml").open("a") as file:
        file.write("\nmin_gian: 1\n")
    with pytest.raises(Refusal, match="min_gian"):
        compose.compose(conf, [])


def test_a_value_left_open_is_named(conf: Path) -> None:
    path = conf / "config.yaml"
    path.write_text(path.read_text().replace("\nseed:", "\nseed: ??? #"))
    with pytest.raises(Refusal, match="seed"):
        compose.compose(conf, [])


def test_yaml_that_does_not_parse_is_a_refusal_and_names_the_file(conf: Path) -> None:
    (conf / "gate" / "default.yaml").write_text("metric: [log_loss\n")
    with pytest.raises(Refusal, match="gate"):
        compose.compose(conf, [])


def test_noted_overrides_are_composed_and_written(tmp_path: Path, conf: Path) -> None:
    (conf / "overrides.yaml").write_text("# Written by make exp.\n- gate.min_gain=0.25\n")
    with project.inside(tmp_path):
        compose.main()
        assert config.read("gate", config.Gate).min_gain == 0.25
