"""One MLflow run a model: parameters, metrics, plots, DVC hash of the data, git commit."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .. import config, files, paths
from . import native
from .figures import draw
from .lineage import Lineage
from .store import RUN, Store

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values as one level with dotted names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def track(store: Store, lineage: Lineage) -> str:
    """Id of the model's run, logged now unless it has been before.

    The run is made from files, so it is the same whether DVC ran the stages or took them from its
    cache.
    """
    if found := store.run_of(lineage.fingerprint):
        return found
    import mlflow
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]

    partitions = config.read("partitions", list[str])
    window = f"{partitions[0]} to {partitions[-1]}"
    model = lineage.parameters["model"]
    name = f"{model['name']}, data to {partitions[-1]}"
    made_of = {
        "git_commit": lineage.git_commit,
        RUN: lineage.data_md5,
        "dvc.model_md5": lineage.model_md5,
    }
    with mlflow.start_run(experiment_id=store.experiment, run_name=name, tags=made_of) as run:
        mlflow.log_params(flat({"model": model}) | {"partitions": window})
        metrics = files.read_json(paths.METRICS)
        metrics.pop("rates", None)  # the names of classes may be any, those of metrics may not
        known = {name: value for name, value in flat(metrics).items() if value is not None}
        mlflow.log_metrics(known)
        source = LocalArtifactDatasetSource(paths.RAW.resolve().as_uri())
        data = MetaDataset(source, f"{store.name}-raw", lineage.data_md5)  # type: ignore[abstract]
        mlflow.log_input(data, context="training")
        mlflow.log_figure(draw(paths.PLOTS), "evaluation.png")
        for path in (paths.METRICS, paths.SEGMENTS, paths.VALIDATION, paths.PLOTS):
            log = mlflow.log_artifacts if path.is_dir() else mlflow.log_artifact
            log(str(path), path.name if path.is_dir() else None)
        # Last: a run without it was interrupted, and is logged again.
        mlflow.set_tag("fingerprint", lineage.fingerprint)
        return str(run.info.run_id)


def log_model(store: Store, pipeline: "Pipeline", data: config.Data, run_id: str) -> str:
    """Log the scikit-learn pipeline to its run, once; returns the address to register.

    Signature and requirements are given: inferring them starts a process and takes seconds.
    """
    import mlflow
    import numpy
    import pandas
    import sklearn
    from mlflow.entities import LoggedModelStatus
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    for left in store.client.search_logged_models(
        [store.experiment], f"source_run_id = '{run_id}'"
    ):  # by a process that was killed before it registered it
        if left.status == LoggedModelStatus.READY:
            return str(left.model_uri)
        store.client.delete_logged_model(left.model_id)
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(
            "double" if column.type == "numeric" else "string",
            name,
            required=column.missing == 0 and not column.function,
        )
        for name, column in data.columns.items()
        if name in data.inputs
    ]
    with mlflow.start_run(run_id=run_id):
        info = mlflow.sklearn.log_model(
            pipeline,
            name="model",
            signature=ModelSignature(Schema(inputs), Schema([ColSpec("double")])),
            pip_requirements=[
                f"{library.__name__.replace('sklearn', 'scikit-learn')}=={library.__version__}"
                for library in (numpy, pandas, sklearn, *_boosting(pipeline))
            ],
            serialization_format="skops",  # loads without running code from the file
            skops_trusted_types=native.trusted(pipeline),
            pyfunc_predict_fn="predict" if data.task == "regression" else "predict_proba",
        )
    return str(info.model_uri)


def _boosting(pipeline: "Pipeline") -> list[ModuleType]:
    """The library besides scikit-learn that the estimator is from, if any."""
    library = type(pipeline["estimator"]).__module__.partition(".")[0]
    return [import_module(library)] if library in ("lightgbm", "xgboost") else []


def log_file(store: Store, path: Path, run_id: str, folder: str) -> None:
    """Log a file as an artifact of a run, in a folder of it."""
    store.client.log_artifact(run_id, str(path), folder)


def log_folder(store: Store, folder: Path, run_id: str, name: str) -> None:
    """Log a folder's files as artifacts of a run."""
    store.client.log_artifacts(run_id, str(folder), name)
