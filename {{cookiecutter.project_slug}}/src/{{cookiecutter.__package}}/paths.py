"""Where things lie.

Stages work on paths relative to the folder they run in, so that DVC may run them in a copy.
Everything with a life of its own (registry, bundles, logs, journal) lies below one folder of the
project, `var/`, or behind an address taken from the environment.
"""

import os
from pathlib import Path

PARAMS = Path("params.json")
SCHEMA = Path("schema.json")
RAW = Path("data/raw")
VALIDATION = Path("reports/validation.json")
TRAIN = Path("data/split/train.parquet")
HOLDOUT = Path("data/split/holdout.parquet")
COLUMNS = Path("data/split/columns.json")
MODEL = Path("models/model.joblib")
METRICS = Path("reports/metrics.json")
SEGMENTS = Path("reports/segments.csv")
PLOTS = Path("reports/plots")

PROJECT = Path(__file__).resolve().parents[2]
VAR = Path(os.environ.get("VAR_DIR") or PROJECT / "var").resolve()
BUNDLES = VAR / "bundles"
PREDICTIONS = VAR / "predictions"
FEEDBACK = VAR / "feedback"
MONITORING = VAR / "monitoring"
VERDICTS = VAR / "verdicts"
SHADOW = VAR / "shadow"
HISTORY = VAR / "history.jsonl"
JOURNAL = VAR / "journal.jsonl"
LOGS = VAR / "log"


def tracking_uri() -> str:
    """Address of the MLflow server, or of the SQLite file below `var/` when none is set."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(VAR / 'mlflow.db').as_posix()}"
