"""The service starts fast and runs no code from files: it imports none of these."""

import json
import subprocess
import sys

from {{ cookiecutter.__package }}.serving import app

FORBIDDEN = {
    "duckdb",
    "evidently",
    "hydra",
    "joblib",
    "mlflow",
    "omegaconf",
    "optuna",
    "pandas",
    "pyarrow",
    "skops",
    "sklearn",
}


def test_the_service_imports_nothing_heavy_and_nothing_that_unpickles() -> None:
    package = app.__name__.rpartition(".")[0]
    code = f"import {package}.__main__, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert app.__name__ in loaded
    assert {name.partition(".")[0] for name in loaded} & FORBIDDEN == set()
