"""Stage 5: fit the model that conf/model/ names."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .. import config, files, paths, table
from ..cli import Refusal, run

if TYPE_CHECKING:
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
    estimator = instantiate(model.estimator)
    if model.encoding == "one_hot":
        encoder = OneHotEncoder(handle_unknown="ignore")
        scaler = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    else:
        missing = float("nan")
        encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=missing, encoded_missing_value=missing
        )
        scaler = "passthrough"
        if model.encoding == "native_categories":
            estimator.set_params(categorical_features=list(range(len(categorical))))
    encode = ColumnTransformer(
        [("categorical", encoder, categorical), ("numeric", scaler, numeric)], sparse_threshold=0
    )
    return Pipeline([("columns", encode), ("estimator", estimator)])


def instantiate(estimator: Mapping[str, Any]) -> Any:
    """Call what `_target_` names with the other entries, as Hydra's function of this name does.

    Importing Hydra for it would cost this stage a third of a second.
    """
    arguments = {name: value for name, value in estimator.items() if name != "_target_"}
    module, _, name = str(estimator.get("_target_", "")).rpartition(".")
    try:
        return getattr(import_module(module), name)(**arguments)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise Refusal(f"conf/model/: cannot make {module}.{name} ({error})") from None


def main() -> None:
    """Fit on the training partitions and write the model, the same bytes for the same input."""
    import joblib
    from threadpoolctl import threadpool_limits

    roles = config.read("data.roles", config.Roles)
    kinds = table.inputs(paths.TRAIN, roles)
    model = config.read("model", config.Model)
    train = table.frame(paths.TRAIN, [*kinds, roles.target])
    pipeline = build(model, kinds)
    # A fixed number: gradients are summed by thread, so another one gives another model.
    with threadpool_limits(config.read("threads", int)):
        try:
            pipeline.fit(train[list(kinds)], train[roles.target])
        except (TypeError, ValueError) as error:
            raise Refusal(f"{model.name} cannot be fitted: {error}") from None
    with files.replacing(paths.MODEL) as aside:
        joblib.dump(pipeline, aside)
    print(f"{model.name} fitted on {len(train)} rows")


if __name__ == "__main__":
    run(main)
