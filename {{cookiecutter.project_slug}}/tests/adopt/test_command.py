"""The whole command: what it writes, what it takes away, and that it does all or nothing."""

import json
import subprocess
from pathlib import Path

import pytest

from {{ cookiecutter.__package }}.adopt import __main__ as command
from {{ cookiecutter.__package }}.adopt import write
from {{ cookiecutter.__package }}.adopt.__main__ import adopt
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.pipeline.compose import CONF, compose
from {{ cookiecutter.__package }}.sources import load

from . import tables
from .conftest import PACKAGE, conf


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def words(folder: Path, word: str) -> list[str]:
    """Files in whose name or text a word occurs."""
    found = snapshot(folder).items()
    return [name for name, held in found if word in name or word.encode() in held.lower()]


@pytest.fixture
def table(tmp_path: Path) -> str:
    return str(tables.write(tables.customers(), tmp_path / "our customers' table.csv"))


def test_the_configuration_composes_and_says_what_was_decided(baked: Path, table: str) -> None:
    adopt(table, "left")
    params = compose(CONF)
    data = params["data"]
    assert (data["task"], data["classes"]) == ("binary", ["no", "yes"])
    assert data["roles"] == {
        "key": "customer_id", "time": "signed up", "target": "left", "group": None
    }  # fmt: skip
    assert list(data["columns"]) == [
        name for name in tables.customers(1)[0] if name not in data["roles"].values()
    ]
    assert data["columns"]["age"] | {"description": ""} == {
        "type": "numeric", "missing": 0.35, "min": 0, "max": 160, "description": ""
    }  # fmt: skip
    assert params["split"]["holdout_partitions"] == 5
    assert params["model"]["name"] == "hist_gradient_boosting"
    assert load(data["source"]).offered() == params["partitions"]
    assert len(params["partitions"]) == 24


def test_nothing_of_the_example_is_left(baked: Path, table: str) -> None:
    before = snapshot(baked)
    adopt(table, "left")
    after = snapshot(baked)
    assert words(baked, "zebra") == []
    assert (PACKAGE / "sources/folder.py").exists()
    assert not (PACKAGE / "sources/zebras").exists()
    assert not Path("tests/sources/zebras").exists()
    for lock in ("locks/pipeline.txt", "locks/dev.txt"):
        assert before[lock].startswith(after[lock])
    cells = json.loads(after["notebooks/explore.ipynb"])["cells"]
    assert [cell["source"] for cell in cells] == [["stays"]]
    assert not list(baked.glob(".adopt-*"))


def test_the_readme_asks_for_a_real_row(baked: Path, table: str, tmp_path: Path) -> None:
    adopt(table, "left")
    text = Path("README.md").read_text(encoding="utf-8")
    (asked,) = (part for part in text.split("```") if "/predict'" in part and "spend €" in part)
    line = asked.removeprefix("sh\n").strip().replace("curl -s", "printf '%s\\n'", 1)
    said = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    row = json.loads(said.partition(" -d")[0] if " -d" in said else said.split("-d\n", 1)[1])
    assert set(row) == {"age", "plan", "spend €", "city"}
    sent = [tables.customers(600)[n] for n in range(600)]
    assert any(all(str(one[name]) == str(row[name]) for name in row) for one in sent)


def test_a_regression_changes_models_gate_and_plots(baked: Path, table: str) -> None:
    adopt(table, "spend €", time="none")
    assert compose(CONF)["data"]["classes"] is None
    assert conf("gate/default.yaml")["metric"] == "rmse"
    assert conf("split/by_hash.yaml")["holdout_share"] == 0.2
    assert not (CONF / "model/logistic_regression.yaml").exists()
    for path in sorted((CONF / "model").glob("*.yaml")):
        assert "Classifier" not in path.read_text()
        compose(CONF, [f"model={path.stem}"])
    assert "logistic" not in (CONF / "config.yaml").read_text()
    assert "errors.csv" in Path("dvc.yaml").read_text()


def test_a_table_can_be_adopted_after_another(baked: Path, table: str) -> None:
    adopt(table, "spend €", name="first")
    adopt(table, "left", name="second", force=True)
    assert compose(CONF)["data"]["task"] == "binary"
    assert sorted(path.stem for path in (CONF / "data").iterdir()) == ["second"]
    assert (CONF / "model/logistic_regression.yaml").exists()
    assert not (CONF / "model/ridge.yaml").exists()


def test_what_is_printed_fits_a_terminal_and_names_the_lines(baked: Path, table: str) -> None:
    lines = adopt(table, "left")
    assert max(map(len, lines)) <= 100
    text = (CONF / "data/our_customers_table.yaml").read_text(encoding="utf-8").splitlines()
    (age,) = (line for line in lines if line.startswith("age "))
    assert text[int(age.rpartition(":")[2]) - 1].startswith("  age: { type: numeric")
    assert any(
        "suspected of knowing the answer, left out: left on, score" in line for line in lines
    )


def test_taking_a_column_in_is_one_line(baked: Path, table: str) -> None:
    adopt(table, "left")
    path = CONF / "data/our_customers_table.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("score: { type: leaking", "score: { type: numeric"))
    assert compose(CONF)["data"]["columns"]["score"]["type"] == "numeric"


NAMES = [
    "a b",
    "o'neil",
    'say "hi"',
    "😀",
    "select",
    "class",
    "from",
    "None",
    "${x}",
    "yes",
    "1",
    "y:z",
]
NAMES += [
    "#c",
    "{d}",
    "back\\slash",
    "[e",
    "- f",
    "&g",
    "*h",
    "!i",
    "%j",
    "@k",
    "`l",
    "null",
    "~",
    "1e3",
]


def test_any_name_of_a_column_can_be_adopted(baked: Path, tmp_path: Path) -> None:
    numbers = [{name: (n * k) % 7 for k, name in enumerate(NAMES, 3)} for n in range(100)]
    rows: list[tables.Row] = [{**row, "target": "ab"[n % 2]} for n, row in enumerate(numbers)]
    adopt(str(tables.write(rows, tmp_path / "names.csv")), "target")
    columns = compose(CONF)["data"]["columns"]
    assert list(columns) == [name.replace('"', "_").replace("\\", "_") for name in NAMES]


@pytest.mark.parametrize("target", ["target", "id", "prediction", "${x}", "None", "a: b", "'"])
def test_any_name_of_a_target_can_be_adopted(baked: Path, tmp_path: Path, target: str) -> None:
    rows = [{"age": n % 17, "plan": "xyz"[n % 3], target: ["no", "${y}"][n % 2]} for n in range(99)]
    adopt(str(tables.write(rows, tmp_path / "table.csv")), target)
    data = compose(CONF)["data"]
    assert data["roles"]["target"] == target
    assert data["classes"] == ["${y}", "no"]


def test_a_failure_at_the_very_end_leaves_everything_as_it_was(
    baked: Path, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(baked)
    usual, moved = Path.replace, []

    def breaking(self: Path, target: Path) -> Path:
        moved.append(self)
        if len(moved) == 25:
            raise OSError("no space left on device")
        return usual(self, target)

    monkeypatch.setattr(Path, "replace", breaking)
    with pytest.raises(OSError, match="no space"):
        adopt(table, "left")
    assert snapshot(baked) == before


def test_a_configuration_that_would_not_compose_changes_nothing(
    baked: Path, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(baked)
    monkeypatch.setattr(write, "HINT", "nonsense: 1")
    with pytest.raises(Refusal, match="nonsense"):
        adopt(table, "left")
    assert snapshot(baked) == before


def test_a_champion_is_not_taken_away_unasked(baked: Path, table: str) -> None:
    pointer = Path("var/bundles/champion.json")
    pointer.parent.mkdir(parents=True)
    pointer.write_text("{}")
    with pytest.raises(Refusal, match="a champion was released from this project"):
        adopt(table, "left")
    adopt(table, "left", force=True)
    assert not pointer.exists()
    assert list(Path("var/former").glob("*/bundles/champion.json"))


def test_files_that_were_imported_are_not_replaced_unasked(baked: Path, table: str) -> None:
    Path("data/source").mkdir(parents=True)
    Path("data/source/mine.csv").write_text("a\n1\n")
    with pytest.raises(Refusal, match="data/source holds files already"):
        adopt(table, "left")
    assert Path("data/source/mine.csv").exists()


def test_a_file_without_time_is_imported_as_it_is(baked: Path, table: str) -> None:
    adopt(table, "left", time="none")
    assert [path.name for path in Path("data/source").iterdir()] == [Path(table).name]
    assert next(Path("data/source").iterdir()).read_bytes() == Path(table).read_bytes()


def test_without_data_or_target_the_command_says_what_to_give(
    baked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATA", "TARGET"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Refusal, match="name the table and the column to predict"):
        command.main()
