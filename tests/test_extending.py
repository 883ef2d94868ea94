"""Each example of docs/extending.md does what it says: taken from the page, put into a project."""

import csv
import json
import random
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from demo.project import Project, bake

from .conftest import Lived, git
from .inside import ask, borrowed, copy, edit, ran, ready, refusal

BLOCK = re.compile(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MONTHS = [f"2024-{month:02d}" for month in range(1, 13)]
ADOPTED, EACH = 50, 80  # rows of a month in the table that is adopted, and in the page's source
CUSTOM = "src/customer_care/custom"
MADE = ("income_a_visit", "signed_up_on")

HOLDOUT = """
import json
import duckdb, joblib
model = joblib.load("models/model.joblib")
found = duckdb.sql("FROM 'data/split/holdout.parquet'")
told = model.predict_proba(found.df()[list(model.feature_names_in_)])[:, 1]
rows = [dict(zip(found.columns, row)) for row in found.fetchall()]
inputs = model.feature_names_in_.tolist()
print(json.dumps({"rows": rows, "told": told.tolist(), "inputs": inputs}))
"""


class Extended(NamedTuple):
    """The project with all examples in it, and what `dvc repro` and `make release` have said."""

    project: Project
    said: str
    released: str


def blocks(page: Path) -> dict[str, list[tuple[str, str]]]:
    """File and text of each block of the page, by section."""
    _, *parts = re.split(r"^## (.*)\n", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {title: BLOCK.findall(text) for title, text in zip(parts[::2], parts[1::2], strict=True)}


def entries(text: str) -> dict[str, list[str]]:
    """Lines of a file of YAML by its top-level key; what stands before the first is under ''."""
    found: dict[str, list[str]] = {"": []}
    for line in text.splitlines():
        if line[:1].isalpha():
            key = line.split(":")[0]
            found[key] = []
        found[next(reversed(found))].append(line)
    return found


def merged(text: str, added: str) -> str:
    """A file of YAML with a block's lines: below those that a key has, or for its only line."""
    found = entries(text)
    for key, lines in entries(added).items():
        if len(lines) < 2 or key not in found:
            found[key] = lines or found[key]
            continue
        while not found[key][-1].strip():
            found[key].pop()
        found[key] += lines[1:]
    return "".join(f"{line}\n" for lines in found.values() for line in lines)


def put(project: Project, path: str, text: str) -> None:
    """Do with a block what the page says."""
    file = project.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        text = merged(file.read_text(encoding="utf-8"), text)
    file.write_text(text, encoding="utf-8")


def changed(project: Project) -> set[str]:
    """What git sees changed or new."""
    status = git(project.folder, "status", "--porcelain", "--untracked-files=all")
    return {line[3:] for line in status.splitlines()}


def customers(month: str) -> list[dict[str, Any]]:
    """The page's table, the rows of one month: who comes seldom leaves."""
    chance = random.Random(month)  # noqa: S311
    rows = []
    for number in range(EACH):
        visits = chance.randrange(12)
        rows.append(
            {
                "customer_id": f"c{month[-2:]}{number:03d}",
                "signed_up": f"{month}-{number % 28 + 1:02d}",
                "plan": chance.choice(["basic", "plus", "family"]),
                "visits": visits,
                "income": chance.randrange(1000, 9000) if chance.random() > 0.1 else "",
                "churned": int(chance.random() < (0.8 if visits < 4 else 0.05)),
            }
        )
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Rows as a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


@pytest.fixture(scope="module")
def adopted(template: Path, life: Lived, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of a team whose table the page is about; the environment is the life's."""
    output = tmp_path_factory.mktemp("extended") / "out"
    folder = bake(output, template, project_name="Customer Care")
    (folder / ".venv").symlink_to(life.project.folder / ".venv")
    (folder.parent / f"{folder.name}.dvc-remote").mkdir()
    (folder.parent / "customers").mkdir()
    for month in MONTHS:
        write(folder.parent / f"customers/{month}.csv", customers(month))
    table = folder.parent / "customers.csv"
    write(table, [row for month in MONTHS for row in customers(month)[:ADOPTED]])
    project = borrowed(folder)
    project.environment |= {"DATA": str(table), "TARGET": "churned"}
    project.run("python", "-m", "customer_care.adopt")
    ready(folder)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Our customers")
    return project


@pytest.fixture(scope="module")
def extended(adopted: Project) -> Extended:
    """The same with every example, run and released."""
    for examples in blocks(adopted.folder / "docs/extending.md").values():
        for path, text in examples:
            put(adopted, path, text)
    edit(adopted, "conf/config.yaml", "model: hist_gradient_boosting", "model: cautious")
    return Extended(adopted, adopted.run("dvc", "repro"), adopted.make("release"))


@pytest.fixture(scope="module")
def later(extended: Extended, tmp_path_factory: pytest.TempPathFactory) -> Extended:
    """A copy of it, run again after edits of the rule, the stage and the model, and refused."""
    folder = tmp_path_factory.mktemp("later")
    shutil.copytree(extended.project.folder.parent / "customers", folder / "customers")
    project = copy(extended.project, folder)
    edit(project, f"{CUSTOM}/rules.py", '"roc_auc": 0.6', '"roc_auc": 0.99')
    edit(project, f"{CUSTOM}/worst.py", "nlargest(20", "nlargest(5")
    edit(project, "conf/model/cautious.yaml", "min_samples_leaf: 10", "min_samples_leaf: 11")
    return Extended(project, project.run("dvc", "repro"), refusal(project, "make", "release"))


def test_every_section_has_an_example_of_own_code_and_of_what_names_it(adopted: Project) -> None:
    found = blocks(adopted.folder / "docs/extending.md")

    assert len(found) == 6
    for title, examples in found.items():
        paths = [path for path, _ in examples]
        assert any(path.startswith(f"{CUSTOM}/") for path in paths), title
        assert any(path.startswith("conf/") or path == "dvc.yaml" for path in paths), title


def test_no_example_needs_an_edit_of_a_file_of_the_template(extended: Extended) -> None:
    examples = blocks(extended.project.folder / "docs/extending.md").values()
    own = {path for section in examples for path, _ in section}
    assert all(path.startswith((f"{CUSTOM}/", "conf/")) for path in own - {"dvc.yaml"})
    made = {"dvc.lock", "params.json", "schema.json"}  # by the pipeline
    here = {"conf/config.yaml"}  # by this test

    assert changed(extended.project) == own | made | here


def test_a_feature_function_makes_an_input_of_a_requests_columns(extended: Extended) -> None:
    project = extended.project
    found = ask(project, HOLDOUT)
    rows = found["rows"]
    assert set(MADE) <= set(found["inputs"])
    for row in rows:
        weekend = date.fromisoformat(row["signed_up"][:10]).weekday() >= 5
        assert row["signed_up_on"] == ("weekend" if weekend else "weekday")
        income = row["income"]
        assert row["income_a_visit"] == (None if income is None else income / (row["visits"] + 1))
    assert any(row["income_a_visit"] is None for row in rows)

    with project.serving():
        model = project.get("/model")
        names = [column["name"] for column in model["columns"]]
        asked = [{name: row[name] for name in names} for row in rows]
        answer = project.post("/predict", asked)
        one = project.post("/predict?explain=true", asked[0])
        described = json.dumps(project.get("/openapi.json"))

    assert "signed_up" in names
    assert not set(MADE) & set(names)
    assert "signed_up_on" not in described
    told = [prediction["probability"] for prediction in answer["predictions"]]
    assert told == pytest.approx(found["told"], rel=0, abs=1e-12)
    assert set(MADE) <= set(one["predictions"][0]["explanation"]["contributions"])


def test_an_own_estimator_is_fitted_and_served_by_scikit_learn(extended: Extended) -> None:
    manifest = next((extended.project.folder / "var/bundles").glob("v1-*/bundle.json"))
    found = json.loads(manifest.read_text(encoding="utf-8"))

    assert "no exact portable form (Cautious" in extended.released
    assert "scikit-learn itself will answer" in extended.released
    assert found["form"] == "native"
    assert "customer_care.custom.estimators.Cautious" in found["meta"]["trusted"]
    told = ask(extended.project, HOLDOUT)["told"]
    assert min(told) == 0.1  # as no other estimator ends there


def test_an_own_source_is_where_the_rows_come_from(extended: Extended) -> None:
    profile = extended.project.json("reports/validation.json")["partitions"]

    assert {month: found["rows"] for month, found in profile.items()} == dict.fromkeys(MONTHS, EACH)


def test_an_own_metric_is_measured_and_judges_at_the_gate(extended: Extended) -> None:
    project = extended.project
    found = ask(project, HOLDOUT)
    costs = []
    for row, told in zip(found["rows"], found["told"], strict=True):
        called = told >= 1 / 6
        costs.append((0.0 if called else 5.0) if row["churned"] else (1.0 if called else 0.0))

    metrics = project.json("reports/metrics.json")
    assert metrics["model"]["cost"] == pytest.approx(sum(costs) / len(costs), abs=1e-12)
    better = 1 - metrics["model"]["cost"] / metrics["baseline"]["cost"]
    (line,) = project.lines("var/history.jsonl")
    assert line["event"] == "promoted"
    assert line["reason"].startswith("first model, cost ")
    assert line["reason"].endswith(f"{better:.1%} better")
    (card,) = (project.folder / "var/bundles").glob("v1-*/card.md")
    assert f"| cost | {metrics['model']['cost']:.4f} |" in card.read_text(encoding="utf-8")
    header, *_ = (project.folder / "reports/segments.csv").read_text(encoding="utf-8").splitlines()
    assert header.endswith(",cost")


def test_an_own_rule_refuses_and_the_history_names_it(later: Extended) -> None:
    assert "refused by rule good_enough; the champion stays" in later.released
    first, line = later.project.lines("var/history.jsonl")
    assert (first["event"], line["event"], line["rule"]) == ("promoted", "refused", "good_enough")
    assert line["reason"] == "roc_auc below what was agreed"


def test_an_own_stage_runs_last_and_again_when_what_it_lists_has_changed(
    extended: Extended, later: Extended
) -> None:
    def worst(project: Project) -> list[float]:
        text = (project.folder / "reports/worst.csv").read_text(encoding="utf-8")
        assert text.startswith("customer_id,")
        return [float(line.rsplit(",", 1)[1]) for line in text.splitlines()[1:]]

    assert ran(extended.said)[-1] == "worst"
    errors = worst(extended.project)
    assert len(errors) == 20
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.5
    assert ran(extended.project.run("dvc", "repro")) == []
    assert ran(later.said) == ["compose", "split", "train", "evaluate", "worst"]
    assert len(worst(later.project)) == 5


def test_what_is_misspelt_or_fails_is_told_in_one_sentence(later: Extended) -> None:
    def repro(path: str, old: str, new: str) -> str:
        edit(later.project, path, old, new)
        said = refusal(later.project, "dvc", "repro", "split")
        edit(later.project, path, new, old)
        assert "Traceback" not in said
        (line,) = (line for line in said.splitlines() if line.startswith("error: "))
        return line

    said = repro("conf/gate/default.yaml", "metric: cost", "metric: costs")
    assert said.startswith("error: conf/gate/: no metric is named costs, only log_loss, ")
    said = repro("conf/data/customers.yaml", "features.signed_up_on", "features.signed_up_at")
    assert "conf/data/: there is no 'customer_care.custom.features.signed_up_at'" in said
    said = repro(f"{CUSTOM}/features.py", "income / (visits + 1)", "1 / 0")
    assert re.match(r"error: conf/data/: 'income_a_visit' cannot be made of \S+, \S+: Zero", said)
