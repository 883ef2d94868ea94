"""Writing a prediction log as the service does, from rows of the made-up table."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from {{ cookiecutter.__package }} import paths
from {{ cookiecutter.__package }}.serving.bundle import Model
from {{ cookiecutter.__package }}.serving.champion import read_pointer

from .. import customers

Row = dict[str, Any]


def model() -> Model:
    """The champion of the project."""
    pointer = read_pointer(paths.BUNDLES)
    assert pointer
    return Model(paths.BUNDLES / pointer.bundle)


def line(
    row: Row, probability: float, days_ago: float = 0, version: int = 1, name: str = ""
) -> str:
    """One line of the log."""
    at = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat(timespec="milliseconds")
    name = name or f"{uuid4().hex}-0"
    record = {"id": name, "at": at, "version": version, "probability": probability}
    return json.dumps(record | {"label": int(probability >= 0.5), "row": row}) + "\n"


def write(*lines: str, name: str = "2999-05-01.1-a.0") -> None:
    """Append lines to a file of the log."""
    paths.PREDICTIONS.mkdir(parents=True, exist_ok=True)
    with (paths.PREDICTIONS / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(lines)


def told(name: str, label: int, days_ago: float = 0) -> None:
    """Append what turned out to be true of an answer, as the service does."""
    paths.FEEDBACK.mkdir(parents=True, exist_ok=True)
    at = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
    with (paths.FEEDBACK / "2999-05-01.1-a.0.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"id": name, "at": at, "label": label}) + "\n")


def answered(partition: str, change: Callable[[Row], Row] = lambda row: row) -> None:
    """Log the model's own answers to a month's rows."""
    champion = model()
    rows = [change(customers.request(n, partition)) for n in range(customers.ROWS)]
    decoded = [champion.schema.decode(json.dumps(row).encode()) for row in rows]
    probabilities, _ = champion.predict(decoded)
    write(*(line(row, p) for row, p in zip(rows, probabilities, strict=True)))
