"""Stage 5: fit the model that conf/model/ names."""

from collections.abc import Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

from .. import config, files, paths, table
from ..cli import Refusal, run
from ..instantiate import instantiate

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline


def build(model: config.Model, kinds: Mapping[str, config.Kind]) -> "Pipeline":
    """The unfitted pipeline: columns encoded as `model.encoding` says, then the estimator.

    Categorical columns come first; the portable export relies on this order.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    categorical = [name for name, kind in kinds.items() if kind == "categorical"]
    numeric = [name for name, kind in kinds.items() if kind == "numeric"]
    estimator = instantiate(model.estimator, "conf/model/")
    if model.encoding == "one_hot":
        encoder = OneHotEncoder(handle_unknown="ignore")
        scaler = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    else:
        missing = float("nan")
        encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=missing, encoded_missing_value=missing
        )
        scaler = "passthrough"
        if (
            model.encoding == "native_categories"
            and "categorical_features" in estimator.get_params()
        ):
            estimator.set_params(categorical_features=list(range(len(categorical))))
    encode = ColumnTransformer(
        [("categorical", encoder, categorical), ("numeric", scaler, numeric)], sparse_threshold=0
    )
    return Pipeline([("columns", encode), ("estimator", estimator)])


def told_when_fitted(pipeline: "Pipeline", model: config.Model) -> dict[str, Any]:
    """LightGBM takes the places of the categorical columns not before it is fitted."""
    if model.encoding != "native_categories":
        return {}
    if "categorical_feature" not in signature(pipeline["estimator"].fit).parameters:
        return {}
    _, _, categorical = pipeline["columns"].transformers[0]
    return {"estimator__categorical_feature": list(range(len(categorical)))}


def _check_labels(labels: Any, classes: list[config.Class] | None) -> None:
    """Refuse training rows that no model of all classes can be learnt from."""
    if not len(labels):
        raise Refusal("there is no labelled row to train on: see conf/split/ and conf/arrived.yaml")
    seen = set(labels.unique()) if classes else set()
    if absent := [str(name) for code, name in enumerate(classes or ()) if code not in seen]:
        raise Refusal(
            f"no training row has the label {', '.join(absent)}: take more partitions in, or take "
            "it out of `classes` in conf/data/"
        )


def fit(
    model: config.Model,
    rows: "pd.DataFrame",
    kinds: Mapping[str, config.Kind],
    target: str,
    classes: list[config.Class] | None,
    threads: int,
) -> "Pipeline":
    """The fitted pipeline; `rows` hold the inputs and the target.

    Raises `Refusal` when a class has no row, or the estimator cannot be fitted.
    """
    from threadpoolctl import threadpool_limits

    _check_labels(rows[target], classes)
    pipeline = build(model, kinds)
    # A fixed number: gradients are summed by thread, so another one gives another model.
    with threadpool_limits(threads):
        try:
            pipeline.fit(rows[list(kinds)], rows[target], **told_when_fitted(pipeline, model))
        except (TypeError, ValueError) as error:
            raise Refusal(f"{model.name} cannot be fitted: {error}") from None
    return pipeline


def main() -> None:
    """Fit on the training partitions and write the model, the same bytes for the same input."""
    import joblib

    target = config.read("data.roles", config.Roles).target
    kinds = table.inputs()
    model = config.read("model", config.Model)
    classes = config.read("data.classes", list[config.Class] | None)
    train = table.frame(paths.TRAIN, [*kinds, target])
    pipeline = fit(model, train, kinds, target, classes, config.read("threads", int))
    with files.replacing(paths.MODEL) as aside:
        joblib.dump(pipeline, aside)
    print(f"{model.name} fitted on {len(train)} rows")


if __name__ == "__main__":
    run(main)
