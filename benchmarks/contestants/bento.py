"""BentoML: the same pydantic rows, one DataFrame a call; with BATCHING set, adaptive batching."""

import os

import bentoml
import joblib
import pandas as pd

from .row import Row

# A batch may be as large as the largest request (1,000 rows); the latency is a limit, not a wait:
# the dispatcher learns from the traffic how long collecting pays.
BATCHING = {"batchable": True, "max_batch_size": 4000, "max_latency_ms": 10_000}


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Service:
    """One model, one route, /predict."""

    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(**(BATCHING if os.environ.get("BATCHING") else {}))
    def predict(self, rows: list[Row]) -> list[float]:
        """Predict the rows of one request, or of as many as were collected."""
        table = pd.DataFrame([row.model_dump() for row in rows])
        return list(self.model.predict_proba(table)[:, 1].tolist())
