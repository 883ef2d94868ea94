"""Live traffic for a challenger: rows answered by the service, and labels that arrive for them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from {{ cookiecutter.__package }} import config, files, paths
from {{ cookiecutter.__package }}.registry.store import Store
from {{ cookiecutter.__package }}.serving.challenger import Challenger, read
from {{ cookiecutter.__package }}.serving.champion import read_pointer
from {{ cookiecutter.__package }}.serving.service import Service

from .. import customers, project

LIMITS = config.check(customers.PARAMS["serving"], config.Serving, "customers.PARAMS")
NEEDED = 200
BETTER = customers.MODELS["hist_gradient_boosting"]
TASKS: dict[str, dict[str, Any]] = {
    "binary": {},
    "multiclass": {"classes": ["low", "middle", "high"], "target": "level"},
    "regression": {"classes": None, "target": "spent"},
}


def configure(trees: int = 25, **changes: Any) -> None:
    """Shadow mode, and a model of the workspace with so many trees that has been evaluated."""
    model = BETTER | {"estimator": BETTER["estimator"] | {"max_iter": trees}}
    project.write_params(**{"gate__shadow_rows": NEEDED, "model": model} | changes)
    project.run("train", "evaluate")


class Spending(customers.Source):
    """The same months with what each customer has spent, as a number and as a level."""

    def fetch(self, partitions: list[str], folder: Path) -> None:
        """Write partitions."""
        for partition in partitions:
            customers.write(spending(partition), folder / f"{partition}.parquet")


def spending(partition: str) -> pd.DataFrame:
    """The rows of a month with `spent` and `level`."""
    rows = customers.frame(partition)
    noise = np.random.default_rng(len(rows)).normal(0, 5, len(rows))
    spent = np.abs(rows["age"] - 50) * 2 + rows["visits.monthly"] * 5 + noise
    level = pd.cut(spent, [-np.inf, 40, 60, np.inf], labels=TASKS["multiclass"]["classes"])
    return rows.assign(spent=spent, level=level.astype(str))


def params(task: str, trees: int) -> dict[str, Any]:
    """Changes of the parameters that make a project of this task, and a model of so many trees."""
    model = customers.MODELS["hist_gradient_boosting"]
    name = model["estimator"]["_target_"]
    changes: dict[str, Any] = {}
    if task != "binary":
        roles = customers.PARAMS["data"]["roles"] | {"target": TASKS[task]["target"]}
        changes |= {"data__task": task, "data__classes": TASKS[task]["classes"]}
        changes |= {"data__roles": roles, "data__source": {"_target_": f"{__name__}.Spending"}}
    if task == "regression":
        name = name.replace("Classifier", "Regressor")
        changes |= {"gate__metric": "rmse", "gate__guard_metric": "mae"}
        changes |= {"gate__max_guard_loss": None}
    if task == "multiclass":
        changes |= {"gate__guard_metric": "macro_f1"}
    estimator = model["estimator"] | {"max_iter": trees, "_target_": name}
    return changes | {"model": model | {"estimator": estimator}}


def ask(partition: str = "2024-05", rows: int = customers.ROWS, first: int = 0) -> list[str]:
    """Have the service answer rows of a month; the ids of the answers."""
    service = Service(paths.VAR, LIMITS)
    service.champion.refresh()
    asked = [customers.request(number, partition) for number in range(first, first + rows)]
    reply = json.loads(asyncio.run(service.predict(json.dumps(asked).encode())))
    service.close()
    return [one["id"] for one in reply["predictions"]]


def arrive(rows: pd.DataFrame | None = None, partition: str = "2024-05") -> int:
    """Have a month's labels arrive; how many rows have one."""
    rows = customers.frame(partition) if rows is None else rows
    customers.write(rows, paths.RAW / f"{partition}.parquet")
    return int(rows["churned"].notna().sum())


def state(store: Store) -> tuple[int | None, int | None, int | None, str]:
    """Who is champion, previous and challenger, and what the service follows."""
    held = (store.holder(alias) for alias in ("champion", "previous", "challenger"))
    champion, previous, challenger = (one.number if one else None for one in held)
    pointer = read_pointer(paths.BUNDLES)
    return champion, previous, challenger, pointer.bundle.partition("-")[0] if pointer else ""


def events() -> list[tuple[str, int | None]]:
    """What the history says, without reasons."""
    return [(line["event"], line["version"]) for line in files.read_lines(paths.HISTORY)]


def last() -> dict[str, Any]:
    """The last line of the history."""
    return files.read_lines(paths.HISTORY)[-1]


def seen() -> Challenger:
    """What there is to tell of the challenger."""
    found = read(paths.MONITORING)
    assert found
    return found


def answered() -> list[tuple[Any, ...]]:
    """The challenger's log."""
    parts = [path.as_posix() for path in paths.SHADOW.glob("*/answers/*.parquet")]
    query = "SELECT id, key, champion, challenger, version FROM read_parquet(?) ORDER BY id"
    return customers.DUCK.execute(query, [parts]).fetchall() if parts else []
