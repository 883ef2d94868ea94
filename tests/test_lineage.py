"""From a serving version back to its data, parameters, code and commit."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lived, git
from .inside import REGISTRY, ask, cached, lock


@pytest.fixture(scope="module")
def registry(life: Lived) -> dict[str, Any]:
    """Runs, versions and aliases, read with MLflow's own client."""
    found: dict[str, Any] = ask(life.project, REGISTRY)
    return found


def commits(life: Lived) -> list[str]:
    return git(life.project.folder, "rev-list", "HEAD").split()


def test_retraining_committed_what_it_changed_and_nothing_else(life: Lived) -> None:
    folder = life.project.folder
    assert len(commits(life)) == 3
    assert git(folder, "log", "-1", "--format=%s").startswith("Retrain: new data: 2013-07; drift:")
    names = git(folder, "show", "--name-only", "--format=", "HEAD").split()
    assert names == ["conf/arrived.yaml", "dvc.lock", "params.json"]
    metrics = cached(life.project, lock(life.project)["reports/metrics.json"])
    assert json.loads(metrics.read_text()) == life.facts["retrain"]["metrics"]


@pytest.mark.parametrize(("version", "step"), [("1", "repro"), ("2", "retrain")])
def test_a_run_holds_what_made_the_model(
    version: str, step: str, life: Lived, registry: dict[str, Any]
) -> None:
    commit = commits(life)[1 if version == "1" else 0]
    made = lock(life.project, commit)
    run = registry["runs"][registry["versions"][version]["run"]]

    assert run["status"] == "FINISHED"
    assert run["digest"] == made["data/raw"]
    assert run["tags"]["git_commit"] == commit
    assert run["tags"]["dvc.model_md5"] == made["models/model.joblib"]
    assert run["params"]["model.name"] == "hist_gradient_boosting"
    assert float(run["params"]["model.estimator.learning_rate"]) == 0.05
    for side in ("model", "baseline"):
        for name, value in life.facts[step]["metrics"][side].items():
            assert math.isclose(run["metrics"][f"{side}.{name}"], value, rel_tol=1e-12)
    assert {"evaluation.png", "metrics.json", "plots", "bundle"} <= set(run["artifacts"])
    curves = ("calibration", "confusion", "precision_recall", "roc")
    assert run["plots"] == [f"plots/{name}.csv" for name in curves]


def test_versions_runs_bundles_and_history_agree_on_the_fingerprint(
    life: Lived, registry: dict[str, Any]
) -> None:
    history = life.project.lines("var/history.jsonl")
    assert set(registry["versions"]) == {"1", "2"}
    assert len(registry["runs"]) == 2
    for version, found in registry["versions"].items():
        fingerprint = found["tags"]["fingerprint"]
        (bundle,) = (life.project.folder / "var/bundles").glob(f"v{version}*")
        manifest = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
        line = next(line for line in history if line["version"] == int(version))
        run = registry["runs"][found["run"]]
        assert len(fingerprint) == 64
        assert fingerprint == manifest["fingerprint"] == line["fingerprint"]
        assert fingerprint == run["tags"]["fingerprint"]
        assert manifest["run_id"] == found["run"]


def test_a_rollback_swaps_the_aliases_and_marks_the_version_it_left(
    life: Lived, registry: dict[str, Any]
) -> None:
    assert registry["name"] == "flight-delays"
    assert registry["aliases"] == {"champion": 1, "previous": 2}
    assert "rolled_back" in registry["versions"]["2"]["tags"]
    assert "rolled_back" not in registry["versions"]["1"]["tags"]
    pointer = life.project.json("var/bundles/champion.json")
    assert pointer["bundle"].startswith("v1-")


def test_the_model_card_names_commit_data_metrics_segments_and_limits(life: Lived) -> None:
    for version, step, at in (("1", "repro", 1), ("2", "retrain", 0)):
        (path,) = (life.project.folder / "var/bundles").glob(f"v{version}*/card.md")
        card = path.read_text(encoding="utf-8")
        commit = commits(life)[at]
        made = lock(life.project, commit)
        assert card.startswith(f"# flight-delays, version {version}\n")
        assert f"git commit `{commit}`." in card
        assert "not committed" not in card
        assert f"git checkout {commit}\ndvc pull\ndvc repro" in card
        assert made["data/raw"] in card
        assert made["models/model.joblib"] in card
        for side in ("model", "baseline"):
            assert f"{life.facts[step]['metrics'][side]['log_loss']:.4f}" in card
        for carrier in ("UA", "B6", "EV"):
            assert f"| {carrier} |" in card
        for origin in ("EWR", "JFK", "LGA"):
            assert f"| {origin} |" in card
        for heading in ("Calibration", "By carrier", "By origin", "Limits"):
            assert f"# {heading}\n" in card


def test_a_new_month_adds_one_file_to_the_remote_and_copies_none(life: Lived) -> None:
    def listed(commit: str) -> dict[str, str]:
        path = cached(life.project, lock(life.project, commit)["data/raw"])
        return {item["relpath"]: item["md5"] for item in json.loads(path.read_text())}

    before, after = listed("HEAD~1"), listed("HEAD")
    assert len(before) == 6
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"2013-07.parquet"}
    remote = life.project.folder.parent / f"{life.project.folder.name}.dvc-remote"
    stored = {path.parent.name + path.name for path in remote.rglob("*") if path.is_file()}
    assert set(after.values()) <= stored
    in_git = git(life.project.folder, "ls-files").splitlines()  # params.json, schema.json
    assert {md5 for path, md5 in lock(life.project).items() if path not in in_git} <= stored


def test_the_commands_that_show_things_show_them(life: Lived, tmp_path: Path) -> None:
    told = life.project.make("history").splitlines()
    assert [line.split()[1:3] for line in told] == [
        ["promoted", "v1"],
        ["promoted", "v2"],
        ["rolled_back", "v1"],
    ]
    shown = json.loads(life.project.run("dvc", "metrics", "show", "--json"))
    assert shown[""]["data"]["reports/metrics.json"]["data"] == life.facts["retrain"]["metrics"]
    life.project.run("dvc", "plots", "show", "--out", str(tmp_path / "plots"))
    page = (tmp_path / "plots/index.html").read_text(encoding="utf-8")
    for title in ("ROC", "precision and recall", "calibration", "confusion"):
        assert f'"{title}"' in page
    assert "false_positive_rate" in page
    assert git(life.project.folder, "status", "--porcelain") == ""
