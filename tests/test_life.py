"""What the whole life of the default project did, asked of its files and not of its exit codes."""

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import Lived, git
from .inside import COUNTS, SCORES, ask, cached, lock

JULY = 29_425  # flights, from the source's own table


@pytest.fixture(scope="module")
def counts(life: Lived) -> dict[str, list[int]]:
    """Rows, labelled rows and late rows by month, counted anew."""
    found: dict[str, list[int]] = ask(life.project, COUNTS)
    return found


@pytest.fixture(scope="module")
def losses(life: Lived) -> dict[str, float]:
    """Log loss by version and month, computed here from the models in DVC's cache."""
    first, second = (
        str(cached(life.project, lock(life.project, commit)["models/model.joblib"]))
        for commit in ("HEAD~1", "HEAD")
    )
    pairs = [first, "2013-06", first, "2013-07", second, "2013-07"]
    found = ask(life.project, SCORES, *pairs)
    return dict(zip(("v1 June", "v1 July", "v2 July"), found, strict=True))


def manifest(life: Lived, version: int) -> dict[str, Any]:
    (path,) = (life.project.folder / "var/bundles").glob(f"v{version}*/bundle.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def logged(life: Lived) -> list[dict[str, Any]]:
    logs = sorted((life.project.folder / "var/predictions").glob("*.jsonl"))
    return [json.loads(line) for log in logs for line in log.read_text().splitlines()]


def baseline(counts: dict[str, list[int]], training: list[str], month: str) -> float:
    rate = sum(counts[m][2] for m in training) / sum(counts[m][1] for m in training)
    late = counts[month][2] / counts[month][1]
    return -(late * math.log(rate) + (1 - late) * math.log(1 - rate))


def test_dvc_repro_runs_the_six_stages_straight_out_of_the_bake_and_then_none(life: Lived) -> None:
    # KIS 1: `dvc repro` failed straight out of the bake, with green tests.
    assert life.facts["repro"]["stages"] == 6
    assert life.facts["repro_again"]["stages"] == 0


def test_the_first_metrics_are_those_of_flights_the_model_has_not_seen(
    life: Lived, losses: dict[str, float], counts: dict[str, list[int]]
) -> None:
    # KIS 1e wrote a note instead of metrics.
    metrics = life.facts["repro"]["metrics"]
    assert metrics["rows"] == counts["2013-06"][1]
    assert metrics["model"]["log_loss"] == pytest.approx(losses["v1 June"], abs=1e-12)
    training = [f"2013-0{month}" for month in range(1, 6)]
    known = baseline(counts, training, "2013-06")
    assert metrics["baseline"]["log_loss"] == pytest.approx(known, abs=1e-12)


def test_the_model_beats_a_baseline_that_knows_only_the_rate(life: Lived) -> None:
    for step in ("repro", "retrain"):
        model, base = (life.facts[step]["metrics"][side] for side in ("model", "baseline"))
        assert model["log_loss"] < 0.9 * base["log_loss"]
        assert model["brier"] < base["brier"]
        assert model["roc_auc"] > 0.7 > base["roc_auc"] == 0.5


def test_the_first_release_is_judged_against_real_figures(life: Lived) -> None:
    # ZEN 6: the first promotion compared made-up numbers. FCC 2: nothing was compared at all.
    (line,) = life.facts["release"]["history"]
    assert (line["event"], line["version"], line["previous"]) == ("promoted", 1, None)
    metrics = life.facts["repro"]["metrics"]
    for side in ("model", "baseline"):
        assert f"{metrics[side]['log_loss']:.4f}" in line["reason"]
    assert life.facts["serve"]["model"]["version"] == 1
    assert life.facts["serve"]["model"]["metrics"] == metrics["model"]


def test_the_service_gives_the_answer_that_scikit_learn_gave(life: Lived) -> None:
    answer, smoke = life.facts["predict"]["answer"], manifest(life, 1)["smoke"]
    (prediction,) = answer["predictions"]
    assert answer["version"] == 1
    assert life.facts["predict"]["row"] == smoke["row"]
    assert 0 < prediction["probability"] < 1
    assert prediction["probability"] == pytest.approx(smoke["answer"], abs=1e-9)
    assert prediction["label"] == int(prediction["probability"] >= 0.5)


def test_every_flight_of_july_was_answered_and_logged_once(
    life: Lived, counts: dict[str, list[int]]
) -> None:
    # ZEN 6: its traffic was the training frame once more.
    assert counts["2013-07"][0] == JULY
    assert life.facts["replay"]["logged"] == JULY + 1
    lines = logged(life)
    assert len({line["id"] for line in lines}) == len(lines) >= JULY + 3
    flights = [line["row"]["flight_id"] for line in lines if line["row"].get("flight_id")]
    assert len(set(flights)) == len(flights) == JULY
    assert {flight[:6] for flight in flights} <= {"201307", "201308"}  # UTC
    assert all(0 < line["probability"] < 1 for line in lines)


def test_summer_is_seen_to_have_drifted_from_winter(life: Lived) -> None:
    # ZEN 6: a gate that could not fire. (That it stays quiet on like data: test_monitoring.py.)
    seen = life.facts["drift"]["summary"]
    assert seen["status"] == "drift"
    assert {"temperature", "dew_point"} <= set(seen["drift"])
    assert seen["rows"] == JULY + 1
    assert seen["labelled_rows"] == 0
    assert seen["performance"] == {}
    report = life.project.folder / "var/monitoring" / seen["report"]
    assert "temperature" in report.read_text(encoding="utf-8")
    found = json.loads(report.with_suffix(".json").read_text(encoding="utf-8"))
    by_column = {m["config"].get("column"): m["value"] for m in found["metrics"]}
    assert by_column["temperature"] > 0.1


def test_the_month_that_arrived_is_written_down_in_order(life: Lived) -> None:
    text = (life.project.folder / "conf/arrived.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["partitions"] == [f"2013-0{month}" for month in range(1, 8)]
    assert text.startswith("# ")
    assert "2013-07" in life.facts["arrive"]["said"]


def test_the_journal_says_what_retraining_saw_decided_and_did(
    life: Lived, losses: dict[str, float], counts: dict[str, list[int]]
) -> None:
    entry = life.facts["retrain"]["journal"]
    assert entry["new_partitions"] == ["2013-07"]
    assert [reason.split(":")[0] for reason in entry["reasons"]] == ["new data", "drift"]
    assert "not_committed" not in entry
    seen = entry["monitoring"]
    assert seen["labelled_rows"] == counts["2013-07"][1]
    # What version 1 was worth on July's traffic is what it is worth on July's table.
    assert seen["performance"]["log_loss"] == pytest.approx(losses["v1 July"], abs=1e-9)
    assert seen["reference_performance"]["log_loss"] == pytest.approx(losses["v1 June"], abs=1e-12)


def test_the_gate_scored_both_models_on_the_same_newest_month(
    life: Lived, losses: dict[str, float]
) -> None:
    # FMP 3: promotion came before evaluation. AZU 5: the flag was set by hand.
    decision = life.facts["retrain"]["journal"]["decision"]
    assert (decision["event"], decision["version"], decision["previous"]) == ("promoted", 2, 1)
    gain = losses["v1 July"] - losses["v2 July"]
    assert gain > 0
    assert (
        f"{losses['v2 July']:.4f} against the champion's {losses['v1 July']:.4f}"
        in (decision["reason"])
    )
    assert f": gain {gain:+.4f} (95% interval +0." in decision["reason"]
    page = (life.project.folder / "var" / decision["report"]).read_text(encoding="utf-8")
    assert page.startswith("# flight-delays, version 2: promoted\n\n" + decision["reason"])
    recomputed = pytest.approx(losses["v2 July"], abs=1e-12)
    assert life.facts["retrain"]["metrics"]["model"]["log_loss"] == recomputed


def test_one_server_process_served_version_1_then_2_then_1(life: Lived) -> None:
    swapped, back = life.facts["swapped"], life.facts["swapped_back"]
    assert swapped["pid"] == back["pid"]
    assert (swapped["answer"]["version"], back["answer"]["version"]) == (2, 1)
    told = [
        facts["answer"]["predictions"][0]["probability"]
        for facts in (life.facts["predict"], swapped, back)
    ]
    assert told[0] == told[2] != told[1]
    assert swapped["model"]["judged_on"] == ["2013-07"]
    assert back["model"]["run_id"] == life.facts["serve"]["model"]["run_id"]
    said = (life.project.folder / "var/serve.log").read_text(encoding="utf-8")
    assert re.findall(r"serving version (\d+)", said) == ["1", "2", "1"]
    assert "Traceback" not in said
    assert "ERROR" not in said


def test_the_history_tells_the_whole_story(life: Lived) -> None:
    lines = life.project.lines("var/history.jsonl")
    told = [(line["event"], line["version"]) for line in lines]
    assert told == [("promoted", 1), ("promoted", 2), ("rolled_back", 1)]
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert len({line["fingerprint"] for line in lines[:2]}) == 2


def test_the_service_is_gone_with_all_its_processes(life: Lived) -> None:
    with pytest.raises(ProcessLookupError):
        os.killpg(life.facts["swapped"]["pid"], 0)
    if Path("/proc/self/cwd").exists():
        inside = []
        for process in Path("/proc").glob("[0-9]*/cwd"):
            try:
                inside += [process] if process.resolve() == life.project.folder else []
            except OSError:
                continue  # gone, or another user's
        assert inside == []


def test_the_checkout_is_clean_after_it_all(life: Lived) -> None:
    # KIS 1b: outputs were tracked by git.
    assert git(life.project.folder, "status", "--porcelain") == ""
    kept = git(life.project.folder, "ls-files", "data", "models", "reports", "var").splitlines()
    assert kept == []
