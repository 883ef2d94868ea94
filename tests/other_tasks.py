"""Small models of the tasks that the example does not have, made in a lived project's environment.

They are fitted on a few of its rows and written as a release writes them: origin is one of three
airports, distance a number.
"""

import json
from pathlib import Path
from typing import Any

from demo.project import Project

from .inside import ask
from .service import prepare

TARGETS = {"multiclass": "origin", "regression": "distance"}
MODEL: dict[str, Any] = {
    "name": "hist_gradient_boosting",
    "encoding": "native_categories",
    "estimator": {"max_iter": 20, "random_state": 7},
}
MAKE = """
import json, sys
from pathlib import Path
import duckdb, msgspec
import numpy as np
from flight_delays import config, tasks
from flight_delays.pipeline.train import build
from flight_delays.registry import deploy
from flight_delays.registry.portable import export
from flight_delays.serving import bundle
from flight_delays.serving.champion import read_pointer

task, target, model, folder = sys.argv[1:]
folder = Path(folder)
champion = bundle.Model(folder / read_pointer(folder).bundle).manifest
columns = {column.name: column for column in champion.columns if column.name != target}
kinds = {n: "categorical" if c.vocabulary else "numeric" for n, c in columns.items()}
rows = duckdb.sql("FROM 'data/raw/2013-01.parquet' WHERE engine IS NOT NULL LIMIT 2000").df()
rows = rows.astype({n: "float64" for n, kind in kinds.items() if kind == "numeric"})
classes = sorted(rows[target].unique().tolist()) if task == "multiclass" else None
labels = rows[target].map(classes.index) if classes else rows[target].astype("float64")
pipeline = build(config.check(json.loads(model), config.Model, "MODEL"), kinds)
pipeline.fit(rows[list(kinds)], labels)
portable = export(pipeline)
told = tasks.KINDS[task].predict(pipeline, rows[list(kinds)])
row = json.loads(rows[list(kinds)].iloc[:1].to_json(orient="records"))[0]
other = folder / f"v1-{task}"
other.mkdir()
deploy.write(other, msgspec.structs.replace(
    champion, task=task, classes=classes, target=target, form=portable.form, meta=portable.meta,
    columns=[msgspec.structs.replace(columns[n], vocabulary=portable.vocabularies.get(n))
             for n in portable.columns],
    metrics=tasks.KINDS[task].score(labels.to_numpy(), told),
    half_width=None if classes else 150.0, smoke=bundle.Smoke(row, told[0].tolist()),
), portable)
(folder / "champion.json").write_text(json.dumps({"bundle": other.name, "since": champion.created}))
print(json.dumps(classes))
"""


def released(project: Project, task: str, folder: Path) -> Path:
    """A folder to start the service in, whose champion is a model of this task."""
    prepare(project, folder)
    kind = "Classifier" if task == "multiclass" else "Regressor"
    target = f"sklearn.ensemble.HistGradientBoosting{kind}"
    model = MODEL | {"estimator": {"_target_": target} | MODEL["estimator"]}
    bundles = str(folder / "var/bundles")
    ask(project, MAKE, task, TARGETS[task], json.dumps(model), bundles)
    return folder
