"""The service that tutorials write: FastAPI, a pydantic row, a DataFrame a request, joblib."""

import os

import joblib
import pandas as pd
from fastapi import FastAPI

from .row import Row

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


@app.post("/predict")
def predict(row: Row) -> dict[str, float]:
    """Predict one row."""
    table = pd.DataFrame([row.model_dump()])
    return {"probability": float(model.predict_proba(table)[0, 1])}
