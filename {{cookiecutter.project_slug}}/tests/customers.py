"""A made-up table with awkward names, and the source that offers it month by month."""

import copy
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import duckdb
import numpy as np
import pandas as pd

DUCK = duckdb.connect()
ROWS = 300  # a partition
MONTHS = [f"2024-{month:02d}" for month in range(1, 7)]
NUMERIC = ["age", "annual income (€)", "visits.monthly"]
CATEGORICAL = ["from", "friend's plan", "region"]

PARAMS: dict[str, Any] = {
    "name": "customers",
    "seed": 7,
    "threads": 1,
    "partitions": MONTHS[:4],
    "data": {
        "task": "binary",
        "classes": [0, 1],
        "source": {"_target_": "tests.customers.Source"},
        "roles": {"key": "customer_id", "time": "signed_up", "target": "churned"},
        "max_unlabelled": 0.2,
        "segments": ["from", "friend's plan"],
        "intended_use": "Tells whether a customer leaves.",
        "limits": ["Made up."],
        "columns": {
            "age": {"type": "numeric", "min": 18, "max": 120, "description": "in years"},
            "from": {"type": "categorical", "description": "where the customer came from"},
            "annual income (€)": {"type": "numeric", "missing": 0.5, "min": 0},
            "friend's plan": {"type": "categorical", "missing": 0.6},
            "region": {"type": "categorical"},
            "visits.monthly": {"type": "numeric"},
        },
    },
    "split": {"holdout_partitions": 1, "train_partitions": None, "max_categories": 200},
    "model": {
        "name": "hist_gradient_boosting",
        "encoding": "native_categories",
        "estimator": {
            "_target_": "sklearn.ensemble.HistGradientBoostingClassifier",
            "learning_rate": 0.1,
            "max_iter": 3,
            "random_state": 7,
            "early_stopping": False,
        },
    },
    "evaluate": {"threshold": 0.5, "calibration_bins": 5, "interval": 0.9},
    "gate": {
        "metric": "log_loss",
        "min_skill": 0.02,
        "min_gain": 0.0,
        "guard_metric": "roc_auc",
        "max_guard_loss": 0.01,
        "confidence": 0.95,
        "max_calibration_loss": 0.05,
        "max_segment_loss": 0.2,
        "segment_rows": 50,
        "max_slowdown": 3.0,
    },
    "serving": {
        "max_body_bytes": 100000,
        "max_rows": 1000,
        "max_concurrent": 64,
        "request_seconds": 10,
        "poll_seconds": 0.01,
        "log_max_bytes": 1000000,
        "on_log_failure": "fail_closed",
    },
    "monitoring": {
        "window_days": 30,
        "min_rows": 100,
        "sample_rows": 500,
        "drift_share": 0.5,
        "false_alarms": 0.01,
        "min_distance": 0.1,
        "min_share": 0.02,
        "max_repeated": 0.05,
        "max_loss": 0.05,
        "rollback_days": 14,
    },
    "retrain": {
        "arrive": "next",
        "triggers": ["new_data", "drift", "degraded", "by_hand"],
        "drift_without_labels": "retrain",
        "cooldown_hours": 1,
        "max_per_week": 3,
        "commit": False,
        "push": False,
    },
    "alerts": {"command": None, "events": [], "timeout_seconds": 10},
}

MODELS: dict[str, dict[str, Any]] = {
    "hist_gradient_boosting": {
        **PARAMS["model"],
        "estimator": {**PARAMS["model"]["estimator"], "max_iter": 25},
    },
    "random_forest": {
        "name": "random_forest",
        "encoding": "ordinal",
        "estimator": {
            "_target_": "sklearn.ensemble.RandomForestClassifier",
            "n_estimators": 20,
            "max_leaf_nodes": 64,
            "random_state": 7,
        },
    },
    "logistic_regression": {
        "name": "logistic_regression",
        "encoding": "one_hot",
        "estimator": {"_target_": "sklearn.linear_model.LogisticRegression", "max_iter": 1000},
    },
}


def params(**changes: Any) -> dict[str, Any]:
    """A copy of `PARAMS`; a change is named `section` or `section__key__key`."""
    changed = copy.deepcopy(PARAMS)
    for name, value in changes.items():
        *path, last = name.split("__")
        section = changed
        for part in path:
            section = section[part]
        section[last] = value
    return changed


def frame(partition: str) -> pd.DataFrame:
    """The rows of one month, always the same ones."""
    return made(partition).copy()


@cache
def made(partition: str) -> pd.DataFrame:
    """The rows of one month, not to be changed."""
    random = np.random.default_rng(crc32(partition.encode()))
    age = random.integers(18, 90, ROWS)
    income = random.lognormal(10, 0.6, ROWS).round(2)
    visits = random.poisson(4, ROWS)
    origin = random.choice(["web", "shop", "friend"], ROWS)
    plan = random.choice(np.array(["plus", "basic", None], dtype=object), ROWS)
    region = random.integers(1, 6, ROWS)
    pull = np.abs(age - 50) / 12 - visits / 3 + (origin == "web") - (region == 3) * 2.0
    churned = (random.random(ROWS) < 1 / (1 + np.exp(-2 * pull))).astype(float)
    churned[random.random(ROWS) < 0.05] = np.nan
    income[random.random(ROWS) < 0.2] = np.nan
    first = pd.Timestamp(f"{partition}-01")
    return pd.DataFrame(
        {
            "customer_id": int(partition.replace("-", "")) * 1000 + np.arange(ROWS),
            "signed_up": first + pd.to_timedelta(np.arange(ROWS) * 2, unit="h"),
            "age": age,
            "from": origin,
            "annual income (€)": income,
            "friend's plan": plan,
            "region": region,
            "visits.monthly": visits,
            "churned": churned,
        }
    )


def write(rows: pd.DataFrame, path: Path) -> None:
    """Write rows as a partition."""
    path.parent.mkdir(parents=True, exist_ok=True)
    DUCK.from_df(rows).write_parquet(path.as_posix())


def read(path: Path) -> pd.DataFrame:
    """All of a Parquet file."""
    return DUCK.execute("FROM read_parquet(?)", [path.as_posix()]).df()


def request(number: int = 0, partition: str = "2024-05") -> dict[str, Any]:
    """A row as a client sends it: no label, text for categories, None for missing."""
    row = made(partition).drop(columns="churned").iloc[number].to_dict()
    row |= {"customer_id": str(row["customer_id"]), "region": str(row["region"])}
    row["signed_up"] = row["signed_up"].isoformat()
    return {name: None if pd.isna(value) else value for name, value in row.items()}


class Source:
    """Offers all months."""

    def offered(self) -> list[str]:
        """Their names."""
        return MONTHS

    def fetch(self, partitions: list[str], folder: Path) -> None:
        """Write partitions."""
        for partition in partitions:
            write(frame(partition), folder / f"{partition}.parquet")
