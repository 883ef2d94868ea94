import csv
import math
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from {{ cookiecutter.__package }} import files, paths
from {{ cookiecutter.__package }}.pipeline import evaluate

from .. import customers, project

MEASURES = {
    "log_loss": lambda y, p: metrics.log_loss(y, p, labels=[0, 1]),
    "brier": metrics.brier_score_loss,
    "roc_auc": metrics.roc_auc_score,
    "average_precision": metrics.average_precision_score,
}


def holdout() -> tuple[pd.DataFrame, Any, Any]:
    """Rows, labels and answers of the newest partition, made without the code under test."""
    rows = customers.frame("2024-04").dropna(subset="churned")
    rows["region"] = rows["region"].astype(str)
    inputs = rows[list(customers.PARAMS["data"]["columns"])]
    return rows, rows["churned"].to_numpy(int), joblib.load(paths.MODEL).predict_proba(inputs)[:, 1]


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_metrics_are_those_of_the_holdout_rows_alone(evaluated: Path) -> None:
    _, labels, answers = holdout()
    found = files.read_json(paths.METRICS)
    assert found["rows"] == len(labels)
    assert found["rates"] == pytest.approx({"0": 1 - labels.mean(), "1": labels.mean()})
    assert found["model"] == {n: pytest.approx(m(labels, answers)) for n, m in MEASURES.items()}


def test_the_baseline_knows_nothing_but_the_training_rate(evaluated: Path) -> None:
    _, labels, _ = holdout()
    train = pd.concat(customers.frame(month) for month in customers.PARAMS["partitions"][:3])
    answers = np.full(len(labels), train["churned"].mean())
    found = files.read_json(paths.METRICS)["baseline"]
    assert found == {n: pytest.approx(m(labels, answers)) for n, m in MEASURES.items()}


def test_each_segment_is_scored_by_its_own_rows(evaluated: Path) -> None:
    rows, labels, answers = holdout()
    found = {(x["segment"], x["value"]): x for x in lines(paths.SEGMENTS)}
    for name in customers.PARAMS["data"]["segments"]:
        for value, of in rows[name].fillna("(missing)").groupby(rows[name].fillna("(missing)")):
            here = rows.index.isin(of.index)
            scored = found.pop((name, str(value)))
            assert int(scored["rows"]) == here.sum()
            assert float(scored["mean_label"]) == pytest.approx(labels[here].mean())
            assert float(scored["mean_prediction"]) == pytest.approx(answers[here].mean())
            for metric, measure in MEASURES.items():
                expected = measure(labels[here], answers[here])
                assert float(scored[metric]) == pytest.approx(expected)
    assert found == {}


def test_the_curves_are_those_of_the_model(evaluated: Path) -> None:
    _, labels, answers = holdout()
    points = [x for x in lines(paths.PLOTS / "roc.csv") if x["series"] == "model"]
    area = metrics.auc(
        [float(x["false_positive_rate"]) for x in points],
        [float(x["true_positive_rate"]) for x in points],
    )
    assert area == pytest.approx(metrics.roc_auc_score(labels, answers), abs=0.005)
    counted = {
        (x["actual"], x["predicted"]): int(x["rows"]) for x in confusion() if x["series"] == "model"
    }
    expected = metrics.confusion_matrix(labels, answers >= 0.5)
    assert [[counted[a, p] for p in "01"] for a in "01"] == expected.tolist()


def confusion() -> list[dict[str, str]]:
    return lines(paths.PLOTS / "confusion.csv")


def test_evaluating_twice_gives_the_same_files(evaluated: Path) -> None:
    made = [paths.METRICS, paths.SEGMENTS, *sorted(paths.PLOTS.iterdir())]
    before = [path.read_bytes() for path in made]
    evaluate.main()
    assert [path.read_bytes() for path in made] == before


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.filterwarnings("ignore:No positive class")
def test_a_holdout_of_one_label_is_scored_as_far_as_it_can_be(evaluated: Path) -> None:
    rows = customers.frame("2024-04").assign(churned=0)
    customers.write(rows, paths.RAW / "2024-04.parquet")
    project.run("split", "evaluate")
    found = files.read_json(paths.METRICS)
    assert found["rates"] == {"0": 1, "1": 0}
    assert set(found["model"]) == {"log_loss", "brier"}
    assert all(math.isfinite(value) for value in found["model"].values())
