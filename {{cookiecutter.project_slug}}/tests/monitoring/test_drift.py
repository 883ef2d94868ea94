import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from sklearn import metrics

from {{ cookiecutter.__package }} import files, paths
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.monitoring import drift
from {{ cookiecutter.__package }}.monitoring.drift import watch
from {{ cookiecutter.__package }}.monitoring.summary import CODES, Summary

from .. import customers, project
from . import traffic
from .traffic import Row

INCOME, PLAN = "annual income (€)", "friend's plan"


def moved(row: Row) -> Row:
    """A request whose columns have nearly all moved."""
    income = (row[INCOME] or 0) * 3 + 100_000
    gone = {INCOME: income, "visits.monthly": 400, "from": "web", "region": "1"}
    return row | gone | {"age": row["age"] + 6}


def test_traffic_like_the_training_data_is_ok(released: Path) -> None:
    traffic.answered("2024-05")
    summary = watch()
    assert (summary.status, summary.rows, summary.version) == ("ok", customers.ROWS, 1)
    assert "less than 50%" in summary.reason


def test_requests_need_not_tell_the_time(released: Path) -> None:
    traffic.answered("2024-05", lambda row: row | {"signed_up": None})
    assert watch().status == "ok"


@pytest.fixture(scope="module")
def drifted(built_released: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Summary]:
    """What the monitor says when nearly all columns have moved, `age` least of them."""
    folder = tmp_path_factory.mktemp("drifted") / "project"
    with project.inside(project.copied(built_released, folder)):
        traffic.answered("2024-05", moved)
        yield watch()


def test_traffic_that_has_moved_is_drift_and_its_columns_are_named(drifted: Summary) -> None:
    assert drifted.status == "drift"
    assert {INCOME, "age", "visits.monthly", "from"} <= set(drifted.drift)
    assert PLAN not in drifted.drift
    assert "of the columns, by importance, have drifted, most of all age (0." in drifted.reason


def test_broken_columns_are_told_before_those_that_only_moved(drifted: Summary) -> None:
    assert set(drifted.broken) == {INCOME, "visits.monthly", "from", "region"}
    assert drifted.broken["visits.monthly"].startswith("100% of rows lie far outside")
    assert drifted.reason.startswith(f"{next(iter(drifted.broken))} looks broken: 100% of rows ")
    assert list(drifted.drift)[:4] == list(drifted.broken)


def test_the_report_shows_all_columns(drifted: Summary) -> None:
    report = paths.MONITORING / drifted.report
    page = report.read_text(encoding="utf-8")
    assert "<html" in page
    found = files.read_json(report.with_suffix(".json"))["metrics"]
    shown = {m["config"]["column"] for m in found if "column" in m["config"]}
    assert shown == {*customers.PARAMS["data"]["columns"], "prediction"}
    assert all(name in page or name == INCOME for name in drifted.drift)  # escaped there


def test_one_broken_column_among_many_is_an_alarm(released: Path) -> None:
    traffic.answered("2024-05", lambda row: row | {"from": row["from"].upper()})
    project.write_params(monitoring__drift_share=1.0)
    summary = watch()
    assert summary.status == "drift"
    assert list(summary.broken) == ["from"]
    assert summary.reason.startswith("from looks broken: 100% of rows hold values never seen, ")


def test_doubled_rows_are_an_alarm_unless_they_are_usual(released: Path) -> None:
    traffic.answered("2024-05")
    traffic.answered("2024-05")
    summary = watch()
    assert (summary.status, summary.repeated) == ("drift", 0.5)
    assert summary.reason == "50% of the rows are doubled: asked for before, with the same key"
    project.write_params(monitoring__max_repeated=1.0)
    assert watch().status == "ok"


def test_a_report_that_cannot_be_drawn_does_not_cost_the_status(
    released: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "evidently.presets", SimpleNamespace(DataDriftPreset=fails))
    traffic.answered("2024-05")
    summary = watch()
    assert (summary.status, summary.report) == ("ok", "")
    assert "no report on the traffic, Evidently says: it is out of order" in capsys.readouterr().out


def fails(**_: object) -> None:
    raise ValueError("it is out of order")


def test_a_prediction_that_has_drifted_is_enough(released: Path) -> None:
    traffic.write(*(traffic.line(customers.request(n), 0.999) for n in range(200)))
    summary = watch()
    assert summary.status == "drift"
    assert summary.reason.startswith("the prediction has drifted")


def test_few_rows_say_nothing(released: Path) -> None:
    traffic.write(*(traffic.line(customers.request(n), 0.9) for n in range(99)))
    summary = watch()
    assert (summary.status, summary.rows, summary.report) == ("insufficient_data", 99, "")
    assert summary.reason == "99 rows answered, 100 needed to speak of drift"


def test_no_traffic_at_all_says_nothing(released: Path) -> None:
    assert watch().status == "insufficient_data"


def test_a_column_that_went_missing_is_a_schema_error(released: Path) -> None:
    traffic.answered("2024-05", lambda row: row | {PLAN: None})
    summary = watch()
    assert (summary.status, summary.report) == ("schema_error", "")
    assert summary.reason == '"friend\'s plan" is missing in every row'


def test_performance_is_that_of_the_labels_that_have_arrived(released: Path) -> None:
    traffic.answered("2024-04")
    project.write_params(monitoring__min_rows=1000)  # without Evidently, which is slow
    summary = watch()
    rows = customers.frame("2024-04").dropna(subset="churned")
    inputs = rows[list(customers.PARAMS["data"]["columns"])].astype({"region": str})
    labels = rows["churned"].to_numpy(int)
    answers = joblib.load(paths.MODEL).predict_proba(inputs)[:, 1]
    assert summary.labelled_rows == len(rows)
    assert summary.performance == {
        "log_loss": pytest.approx(-np.log(np.where(labels, answers, 1 - answers)).mean()),
        "brier": pytest.approx(((labels - answers) ** 2).mean()),
        "roc_auc": pytest.approx(metrics.roc_auc_score(labels, answers)),
        "average_precision": pytest.approx(metrics.average_precision_score(labels, answers)),
    }
    # These are the rows of the holdout, so release and service must agree on them.
    assert summary.performance == pytest.approx(summary.reference_performance)


@pytest.mark.parametrize("rows", [customers.ROWS, 0])
def test_labels_that_turn_out_otherwise_are_degradation(
    rows: int, released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rows:
        traffic.answered("2024-04")
    wrong = customers.frame("2024-04").assign(churned=lambda frame: 1 - frame["churned"])
    customers.write(wrong, paths.RAW / "2024-04.parquet")
    monkeypatch.setattr(drift, "draw", lambda *_: "")
    summary = watch()
    if not rows:
        assert (summary.status, summary.intervals) == ("insufficient_data", [])
        return
    assert (summary.status, CODES[summary.status]) == ("degraded", 11)
    assert summary.reason.startswith("log_loss of churned is 0.")
    assert "as if the classes of churned were swapped" in summary.reason
    assert [one.metric for one in summary.intervals] == ["log_loss", "roc_auc"]
    assert all(one.worse for one in summary.intervals)


def test_labels_as_at_release_are_no_degradation(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic.answered("2024-04")
    monkeypatch.setattr(drift, "draw", lambda *_: "")
    summary = watch()
    assert summary.status == "ok"
    for one in summary.intervals:
        assert one.low < one.reference < one.high
        assert one.value == pytest.approx(summary.performance[one.metric])


def test_a_column_gone_missing_weighs_more_than_wrong_answers(released: Path) -> None:
    traffic.answered("2024-04", lambda row: row | {PLAN: None})
    wrong = customers.frame("2024-04").assign(churned=lambda frame: 1 - frame["churned"])
    customers.write(wrong, paths.RAW / "2024-04.parquet")
    summary = watch()
    assert any(one.worse for one in summary.intervals)
    assert summary.status == "schema_error"


def test_the_summary_is_kept_beside_its_report_and_as_the_latest(released: Path) -> None:
    summary = watch()
    latest = files.read_json(paths.MONITORING / "latest.json")
    (kept,) = paths.MONITORING.glob("*/summary.json")
    assert files.read_json(kept) == latest
    assert latest["status"] == summary.status


@pytest.mark.parametrize(("flag", "code"), [("--exit-code", 12), ("", 0)])
def test_the_status_is_the_exit_code_when_asked_for(
    flag: str,
    code: int,
    released: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["drift", flag])
    assert drift.main() == code
    assert "status: insufficient_data" in capsys.readouterr().out


def test_without_a_champion_there_is_nothing_to_watch(evaluated: Path) -> None:
    with pytest.raises(Refusal, match="no champion to watch yet"):
        watch()


def test_only_the_newest_looks_keep_their_pages(released: Path) -> None:
    for day in (1, 2, 3):
        for name in ("summary.json", "drift.html", "quality.html"):
            files.write_text(paths.MONITORING / f"2024-05-0{day}T000000+0000" / name, "{}")
    drift.forget(2)
    kept = sorted(path.relative_to(paths.MONITORING) for path in paths.MONITORING.glob("*/*"))
    assert [path.parts[0][8:10] for path in kept if path.suffix == ".html"] == ["02"] * 2 + [
        "03"
    ] * 2
    assert len([path for path in kept if path.name == "summary.json"]) == 3
    watch()
    assert len(list(paths.MONITORING.glob("*/*.html"))) == 4
