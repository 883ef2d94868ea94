"""Looking into a lived project with its own environment, and copies of it to try things in."""

import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import yaml

from demo.project import CommandFailed, Project

from .conftest import git

# Of the project's own tests those that work in a small world of their own, and take most time.
SLOW = [
    f"tests/{name}"
    for name in ("monitoring", "pipeline", "registry", "serving", "sources", "sweep")
]
SLOW += ["tests/test_interrupted.py", "tests/test_replay.py", "tests/test_retrain.py"]

SCORES = """
import json, math, sys
import duckdb, joblib
found = []
for model, month in zip(sys.argv[1::2], sys.argv[2::2]):
    frame = duckdb.sql(f"FROM 'data/raw/{month}.parquet' WHERE late IS NOT NULL").df()
    pipeline = joblib.load(model)
    rows = frame[list(pipeline.feature_names_in_)]
    numbers = rows.select_dtypes("number").columns
    told = pipeline.predict_proba(rows.astype(dict.fromkeys(numbers, "float64")))[:, 1]
    right = [p if late else 1 - p for p, late in zip(told.tolist(), frame["late"].tolist())]
    found.append(-math.fsum(map(math.log, right)) / len(right))
print(json.dumps(found))
"""

COUNTS = """
import json
import duckdb
found = duckdb.sql(
    "SELECT parse_filename(filename, true), count(*), count(late), sum(late) "
    "FROM read_parquet('data/raw/*.parquet', filename = true) GROUP BY 1 ORDER BY 1"
).fetchall()
print(json.dumps({month: [rows, known, int(late)] for month, rows, known, late in found}))
"""

REGISTRY = """
import json
import mlflow
client = mlflow.MlflowClient("sqlite:///var/mlflow.db")
runs = {}
for run in client.search_runs([e.experiment_id for e in client.search_experiments()]):
    (data,) = run.inputs.dataset_inputs
    runs[run.info.run_id] = {
        "status": run.info.status, "params": run.data.params, "metrics": run.data.metrics,
        "tags": run.data.tags, "digest": data.dataset.digest,
        "artifacts": [f.path for f in client.list_artifacts(run.info.run_id)],
        "plots": [f.path for f in client.list_artifacts(run.info.run_id, "plots")],
    }
versions = {
    v.version: {"run": v.run_id, "tags": v.tags} for v in client.search_model_versions("")
}
(model,) = client.search_registered_models()
aliases = {name: int(version) for name, version in model.aliases.items()}
print(json.dumps({"runs": runs, "versions": versions, "aliases": aliases, "name": model.name}))
"""


def ask(project: Project, code: str, *arguments: str) -> Any:
    """What a script that ends by printing JSON finds in the project's environment."""
    return json.loads(project.run("python", "-c", code, *arguments).splitlines()[-1])


def refusal(project: Project, *command: str) -> str:
    """What a command says that must not succeed."""
    try:
        said = project.run(*command)
    except CommandFailed as failure:
        return str(failure)
    raise AssertionError(f"{command} succeeded:\n{said}")


def lock(project: Project, commit: str = "HEAD") -> dict[str, str]:
    """MD5 of each output, by path, as a commit's dvc.lock has it."""
    stages = yaml.safe_load(git(project.folder, "show", f"{commit}:dvc.lock"))["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def now_locked(project: Project) -> dict[str, str]:
    """The same of the file in the workspace."""
    text = (project.folder / "dvc.lock").read_text(encoding="utf-8")
    stages = yaml.safe_load(text)["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def cached(project: Project, md5: str) -> Path:
    """Where DVC's cache keeps content."""
    return project.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def ran(said: str) -> list[str]:
    """The stages that a `dvc repro` says it has run."""
    return [
        line.split("'")[1]
        for line in said.splitlines()
        if line.startswith(("Running stage", "Stage")) and line.endswith(":")
    ]


def ignored(paths: list[str]) -> list[str]:
    """Arguments with which pytest leaves them out."""
    return [f"--ignore={path}" for path in paths]


def edit(project: Project, path: str, old: str, new: str) -> None:
    """Replace text that must be there in a file of the project."""
    file = project.folder / path
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path} has {text.count(old)} times {old!r}"
    file.write_text(text.replace(old, new), encoding="utf-8")


def copy(project: Project, folder: Path) -> Project:
    """A copy with its own state, code and remote; only the environment is shared."""
    source = project.folder
    target = folder / source.name
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".venv"), symlinks=True)
    (target / ".venv").symlink_to(source / ".venv")
    remote = f"{source.name}.dvc-remote"
    shutil.copytree(source.parent / remote, folder / remote)
    with sqlite3.connect(target / "var/mlflow.db") as registry:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            registry.execute(  # so that new artifacts go to the copy
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",  # noqa: S608
                (str(source), str(target)),
            )
    registry.close()
    return borrowed(target)


def ready(folder: Path) -> None:
    """Make finds a borrowed environment newer than all that it is made of, and leaves it alone."""
    for path in (folder / "Makefile", folder / "pyproject.toml", *(folder / "locks").iterdir()):
        os.utime(path, (0, 0))


def borrowed(folder: Path) -> Project:
    """A project that runs its own code with the environment its `.venv` links to."""
    other = Project(folder)
    other.environment["PYTHONPATH"] = str(folder / "src")
    return other
