from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from {{ cookiecutter.__package }} import config, files, paths
from {{ cookiecutter.__package }}.monitoring import drift, quality
from {{ cookiecutter.__package }}.monitoring.traffic import Traffic
from {{ cookiecutter.__package }}.serving.bundle import Manifest

from .. import customers
from . import traffic

MONITORING = config.Monitoring(**customers.PARAMS["monitoring"] | {"min_rows": 20})
Labelled = Sequence[tuple[float, Any]]


@pytest.fixture
def manifest(released: Path) -> Manifest:
    """What is known of a model of two classes."""
    return traffic.model().manifest


def changed(manifest: Manifest, **changes: Any) -> Manifest:
    """The same for another task."""
    return msgspec.structs.replace(manifest, **changes)


def page(labelled: Labelled, manifest: Manifest) -> str:
    """The report on these answers."""
    name = quality.report(labelled, manifest, paths.MONITORING / "now", MONITORING, 7)
    assert name == "now/quality.html"
    return (paths.MONITORING / name).read_text(encoding="utf-8")


def test_two_classes_are_judged_by_the_probability_of_the_last_and_the_threshold(
    manifest: Manifest,
) -> None:
    two = changed(manifest, classes=["stays", "leaves"], threshold=0.25)
    # 31 of 46 who leave are found, with 13 false alarms among the 54 who stay.
    labelled = [(1, 0.3)] * 31 + [(1, 0.2)] * 15 + [(0, 0.26)] * 13 + [(0, 0.1)] * 41
    found = page(labelled, two)
    for share in (72 / 100, 31 / 44, 31 / 46):  # accuracy, precision, recall
        assert f"{share:.3f}" in found or f"{share:.2f}" in found
    assert "stays" in found
    assert "leaves" in found


def test_several_classes_are_judged_by_the_likeliest(manifest: Manifest) -> None:
    several = changed(manifest, task="multiclass", classes=["red", "it's green", "blue"])
    rows = [(0, [0.4, 0.3, 0.3])] * 21 + [(0, [0.1, 0.2, 0.7])] * 16 + [(1, [0.2, 0.6, 0.2])] * 29
    found = page(rows, several)
    assert f"{50 / 66:.3f}" in found
    assert "it's green" in found


def test_numbers_are_judged_by_their_errors_below_zero_too(manifest: Manifest) -> None:
    numbers = changed(manifest, task="regression", classes=None)
    true = np.linspace(-50, 60, 41)
    rows = [(x, x + (3.0 if x < 0 else 1.25)) for x in true.tolist()]
    found = page(rows, numbers)
    errors = np.array([prediction - label for label, prediction in rows])
    assert f"{np.sqrt((errors**2).mean()):.2f}" in found
    assert "Mean Absolute Percentage Error" not in found


def test_few_labels_are_no_report(manifest: Manifest) -> None:
    rows: Labelled = [(0, 0.1), (1, 0.9)] * 9
    assert quality.report(rows, manifest, paths.MONITORING / "now", MONITORING, 7) == ""
    assert not (paths.MONITORING / "now").exists()


def test_labels_that_evidently_cannot_judge_by_stop_nothing(
    manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: Labelled = [(0, 0.1)] * 30
    assert quality.report(rows, manifest, paths.MONITORING / "now", MONITORING, 7) == ""
    assert "no report on the labelled answers, Evidently says: " in capsys.readouterr().out


def test_of_many_labels_a_sample_is_taken_in_the_order_of_the_answers(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Any] = []
    monkeypatch.setattr(quality, "_write", lambda labels, *_: taken.append(labels))
    rows: Labelled = [(float(n), 0.5) for n in range(2000)]
    for seed in (7, 7, 8):
        quality.report(rows, manifest, paths.MONITORING / "now", MONITORING, seed)
    first, again, other = taken
    assert len(first) == MONITORING.sample_rows
    assert (np.diff(first) > 0).all()
    assert (first == again).all()
    assert (first != other).any()


def test_labelled_answers_are_read_from_the_oldest_to_the_newest(released: Path) -> None:
    days = np.random.default_rng(7).permutation(60) / 3
    for number, ago in enumerate(days.tolist()):
        line = traffic.line(customers.request(number), ago / 100, days_ago=ago, name=f"{number}")
        traffic.write(line)
        traffic.told(f"{number}", 1)
    found = [told for _, told in Traffic(traffic.model(), 30).labelled()]
    assert found == sorted(days / 100, reverse=True)


def test_the_report_on_labelled_answers_lies_beside_that_on_drift(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traffic.answered("2024-04")
    drift.main()
    summary = files.read_json(paths.MONITORING / "latest.json")
    report = paths.MONITORING / summary["quality_report"]
    assert report.parent == (paths.MONITORING / summary["report"]).parent
    assert "ROC AUC" in report.read_text(encoding="utf-8")
    assert f"report on the labelled answers: {report}" in capsys.readouterr().out
