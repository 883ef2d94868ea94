"""Models of LightGBM and XGBoost are released, served and kept as scikit-learn's are."""

from pathlib import Path

import mlflow
import numpy as np
import pytest

from {{ cookiecutter.__package }} import paths, table
from {{ cookiecutter.__package }}.registry.release import release
from {{ cookiecutter.__package }}.registry.store import Store
from {{ cookiecutter.__package }}.serving import bundle

from .. import customers, project

MODELS = {
    "lightgbm": {
        "name": "lightgbm",
        "encoding": "native_categories",
        "estimator": {
            "_target_": "lightgbm.LGBMClassifier",
            "n_estimators": 25,
            "verbosity": -1,
            "num_threads": 1,
        },
    },
    "xgboost": {
        "name": "xgboost",
        "encoding": "ordinal",
        "estimator": {"_target_": "xgboost.XGBClassifier", "n_estimators": 25, "n_jobs": 1},
    },
}


@pytest.mark.parametrize("name", MODELS)
def test_a_released_model_is_portable_and_in_the_registry(
    name: str, released: Path, store: Store
) -> None:
    project.write_params(model=MODELS[name], gate__min_gain=-1.0, gate__max_guard_loss=1.0)
    project.run("train", "evaluate")
    assert release()
    served = bundle.Model(project.bundle(2))
    assert served.manifest.form == "trees"
    loaded = mlflow.pyfunc.load_model(f"models:/{store.name}@champion")
    inputs = list(table.inputs())
    rows = customers.read(paths.HOLDOUT)[inputs]
    theirs = np.asarray(loaded.predict(rows))[:, 1]
    ours = served.predict_columns(table.columns(paths.HOLDOUT, inputs))
    assert np.abs(theirs - ours).max() <= served.tolerance
    needed = mlflow.pyfunc.get_model_dependencies(f"models:/{store.name}@champion")
    assert f"{name}==" in Path(needed).read_text()
