import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn import metrics

from {{ cookiecutter.__package }} import files, paths
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.monitoring import drift
from {{ cookiecutter.__package }}.monitoring.drift import watch

from .. import customers, project
from . import traffic
from .traffic import Row

INCOME, PLAN = "annual income (€)", "friend's plan"


def richer(row: Row) -> Row:
    """A request whose columns have nearly all moved."""
    income = (row[INCOME] or 0) * 3 + 100_000
    moved = {INCOME: income, "age": 80, "visits.monthly": 40, "from": "web", "region": "1"}
    return row | moved


def test_traffic_like_the_training_data_is_ok(released: Path) -> None:
    traffic.answered("2024-05")
    summary = watch()
    assert (summary.status, summary.rows, summary.version) == ("ok", customers.ROWS, 1)
    assert "less than 50%" in summary.reason


def test_traffic_that_has_moved_is_drift_and_its_columns_are_named(released: Path) -> None:
    traffic.answered("2024-05", richer)
    summary = watch()
    assert summary.status == "drift"
    assert {INCOME, "age", "visits.monthly", "from"} <= set(summary.drift)
    assert PLAN not in summary.drift
    assert "of the columns have drifted, most of all" in summary.reason


def test_the_column_that_moved_most_is_named_first(released: Path) -> None:
    def moved(row: Row) -> Row:
        return row | {"age": row["age"] + 6, "visits.monthly": 400}

    traffic.answered("2024-05", moved)
    drifted = [name for name in watch().drift if name in ("age", "visits.monthly")]
    assert drifted == ["visits.monthly", "age"]


def test_the_report_shows_the_column_that_drifted(released: Path) -> None:
    traffic.answered("2024-05", lambda row: row | {"age": 80})
    summary = watch()
    assert "age" in summary.drift
    page = (paths.MONITORING / summary.report).read_text(encoding="utf-8")
    assert "age" in page and "visits.monthly" in page and "<html" in page
    found = files.read_json((paths.MONITORING / summary.report).with_suffix(".json"))
    by_column = {m["config"]["column"]: m for m in found["metrics"] if "column" in m["config"]}
    assert by_column["age"]["value"] == pytest.approx(summary.drift["age"])
    assert set(by_column) == {*customers.PARAMS["data"]["columns"], "prediction"}


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


def test_a_sample_bounds_what_is_compared_but_not_what_is_counted(released: Path) -> None:
    project.write_params(monitoring__sample_rows=120)
    traffic.answered("2024-05")
    assert watch().rows == customers.ROWS
