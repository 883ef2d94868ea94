"""The page over time: what it shows of a log, of labels and of what happened to the model."""

import hashlib
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from {{ cookiecutter.__package }} import files, paths
from {{ cookiecutter.__package }}.monitoring import timeline, trend
from {{ cookiecutter.__package }}.monitoring.answered import Answered
from {{ cookiecutter.__package }}.monitoring.drift import watch
from {{ cookiecutter.__package }}.monitoring.timeline import Timeline, look
from {{ cookiecutter.__package }}.registry import history, tracking
from {{ cookiecutter.__package }}.registry.store import Store

from .. import customers, project
from . import traffic
from .traffic import line, write


def ago(days: float) -> datetime:
    """A moment in the past."""
    return datetime.now(UTC) - timedelta(days=days)


def seen() -> Timeline:
    """What is known of the champion's table."""
    manifest = traffic.model().manifest
    log = Answered(manifest.key, manifest.time)
    return look(log, manifest, trend.same_table(manifest))


def page() -> str:
    """The page that a run of the monitor writes."""
    project.write_params(monitoring__min_rows=100_000)  # without Evidently, which is slow
    assert watch().trend == trend.PAGE
    return (paths.MONITORING / trend.PAGE).read_text(encoding="utf-8")


def daily(days: int, month: str = "2024-04") -> None:
    """Log rows whose labels are in the data, the same number on each of the last days."""
    each = customers.ROWS // days
    for day in range(days):
        rows = (customers.request(day * each + n, month) for n in range(each))
        moment = ago(days - 1 - day)
        lines = (line(row | {"signed_up": moment.isoformat()}, 0.4, days - 1 - day) for row in rows)
        write(*lines, name=f"2024-05-{day + 1:02d}.1-a.0")


def test_answers_and_metrics_are_told_by_day(released: Path) -> None:
    daily(3)
    found = seen()
    days = [ago(n).date().isoformat() for n in (2, 1, 0)]
    assert (found.unit, found.column, found.periods) == ("day", "", days)
    assert found.answers == dict.fromkeys(days, 100)
    assert [point.period for point in found.points] == days
    for point in found.points:
        assert [one.metric for one in point.metrics] == ["log_loss", "roc_auc"]
        one = point.metrics[0]
        assert one.low < one.value < one.high
        assert one.reference == traffic.model().manifest.metrics["log_loss"]


def test_a_longer_time_is_told_by_month(released: Path) -> None:
    for days in (0, 100, 300):
        write(*(line(customers.request(n), 0.5, days) for n in range(3)))
    found = seen()
    assert found.unit == "month"
    assert len(found.periods) in (10, 11)
    assert found.answers == {f"{ago(days):%Y-%m}": 3 for days in (0, 100, 300)}


def test_rows_that_were_sent_later_in_their_order_stand_at_their_own_time(released: Path) -> None:
    traffic.answered("2024-04")
    found = seen()
    assert (found.unit, found.column) == ("day", "signed_up")
    assert (found.periods[0], len(found.periods)) == ("2024-04-01", 25)
    assert sum(found.answers.values()) == customers.ROWS
    assert found.period(datetime.now(UTC).isoformat()) == "2024-04-25"


def test_rows_of_any_time_do_not_make_the_axis(released: Path) -> None:
    order = np.random.default_rng(1).permutation(customers.ROWS)
    write(*(line(customers.request(int(n), "2024-04"), 0.4) for n in order))
    assert seen().column == ""


def test_labels_that_come_late_change_the_days_they_belong_to(released: Path) -> None:
    (paths.RAW / "2024-04.parquet").rename(paths.RAW.parent / "aside")
    daily(3)
    assert seen().points == []
    (paths.RAW.parent / "aside").rename(paths.RAW / "2024-04.parquet")
    assert [bool(point.metrics) for point in seen().points] == [True] * 3


def test_a_point_is_measured_again_only_when_its_labels_change(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daily(3)
    first = seen().points
    measured = []
    metrics = timeline._metrics

    def counting(*arguments: Any) -> Any:
        measured.append(len(arguments[0]))
        return metrics(*arguments)

    monkeypatch.setattr(timeline, "_metrics", counting)
    assert (seen().points, measured) == (first, [])
    rows = customers.frame("2024-04")
    rows.loc[:50, "churned"] = 1 - rows.loc[:50, "churned"]
    customers.write(rows, paths.RAW / "2024-04.parquet")
    assert seen().points[1:] == first[1:]
    assert len(measured) == 1


def test_what_lies_beyond_the_horizon_is_kept_as_it_was_found(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daily(3)
    first = seen().points
    monkeypatch.setattr(timeline, "HORIZON", 1.5)
    assert seen().points == first
    (paths.MONITORING / timeline.KEPT).unlink()
    assert seen().points == first[1:]


def test_the_page_needs_nothing_but_itself(released: Path) -> None:
    daily(3)
    made = page()
    assert "<script" not in made
    assert not re.search(r'(?:href|src)="(?!data:,)', made)
    assert not re.search(r"\sstyle=|\son\w+=|https?://|@import|url\(", made)
    (style,) = re.findall(r"<style>(.*?)</style>", made, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', made)
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_the_page_is_well_formed_and_names_are_text(released: Path) -> None:
    daily(3)
    history.record("refused", None, "f" * 64, "</table><b>not & markup")
    made = page()
    assert "&lt;/table&gt;&lt;b&gt;not &amp; markup" in made
    opened: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag not in ("meta", "link"):
                opened.append(tag)

        def handle_startendtag(self, tag: str, attrs: Any) -> None:
            pass

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Reader().feed(made)
    assert opened == []


@pytest.mark.parametrize("days", [0, 1])
def test_a_page_of_which_little_is_known_says_so(released: Path, days: int) -> None:
    if days:
        write(*(line(customers.request(n), 0.4) for n in range(20)))
    made = page()
    assert made.count("No value yet: too few labels have arrived.") == 2
    assert ("No answers are in the log yet." in made) == (not days)
    assert "The monitor has not seen enough traffic to compare yet." in made


def test_the_numbers_of_the_charts_are_in_a_table_too(released: Path) -> None:
    daily(3)
    made = page()
    (point, *_) = seen().points
    one = point.metrics[0]
    cell = f"<td>{one.value:.4g} ({one.low:.4g} to {one.high:.4g}; {one.reference:.4g})</td>"
    assert cell in made
    assert f'<tr><th scope="row">{point.period}</th><td>1</td><td>100</td>' in made


def test_promotions_refusals_and_rollbacks_are_marked(released: Path) -> None:
    daily(3)
    history.record("refused", None, "f" * 64, "no better")
    history.record("rolled_back", 1, "e" * 64, "from version 2 back to version 1")
    made = page()
    assert re.search(r'<text class="flag rolled_back"[^>]*>v1 \u2715 \u21a9v1<', made)
    assert "a candidate refused by the gate: no better" in made
    assert "version 1 in service again, by rollback: from version 2 back to version 1" in made


def test_what_happened_while_rows_were_replayed_stands_at_their_time(released: Path) -> None:
    rows = [customers.request(n, "2024-04") for n in range(customers.ROWS)]
    write(*(line(row, 0.4, days_ago=0.1) for row in rows))
    history.record("refused", None, "f" * 64, "no better")
    found = seen()
    assert found.period(ago(1).isoformat()) == "2024-04-01"
    refused = files.read_lines(paths.HISTORY)[-1]
    assert found.period(refused["at"]) == "2024-04-25"


def test_an_earlier_look_of_the_monitor_is_on_the_page(released: Path) -> None:
    daily(3)
    run = {"version": 1, "status": "drift", "rows": 900, "drift": {"age": 0.5}, "share": 0.42}
    at = ago(1).isoformat(timespec="seconds")
    files.write_json(paths.MONITORING / at.replace(":", "") / "summary.json", {"at": at} | run)
    files.write_text(paths.MONITORING / "torn" / "summary.json", '{"at": "20')
    assert "version 1: 42%, drift; most of all age 0.50</title>" in page()


def test_versions_of_another_table_are_left_out(replaced: Path) -> None:
    champion = traffic.model().manifest
    assert set(trend.same_table(champion)) == {1, 2}
    path = project.bundle(1) / "bundle.json"
    files.write_json(path, files.read_json(path) | {"target": "another"})
    assert set(trend.same_table(champion)) == {2}


def test_a_page_that_fails_does_not_cost_the_status(
    released: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trend, "look", lambda *_: 1 / 0)
    summary = watch()
    assert (summary.status, summary.trend) == ("insufficient_data", "")
    assert "no page over time: ZeroDivisionError" in capsys.readouterr().out


def test_the_page_is_logged_to_the_champions_run(
    released: Path,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trend.log(1)  # there is none yet
    page()
    trend.log(1)
    run = traffic.model().manifest.run_id
    found = store.client.list_artifacts(run, "monitoring")
    assert [artifact.path for artifact in found] == [f"monitoring/{trend.PAGE}"]
    monkeypatch.setattr(tracking, "log_file", lambda *_: 1 / 0)
    trend.log(1)
    assert "could not be logged to MLflow: division by zero" in capsys.readouterr().out
