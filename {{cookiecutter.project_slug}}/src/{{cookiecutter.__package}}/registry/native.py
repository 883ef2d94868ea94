"""What the service needs of a model that only scikit-learn itself can answer for."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..cli import Refusal
from ..serving.bundle import NATIVE
from ..serving.native import MODEL
from .portable import Portable, inputs, unit

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def write(pipeline: "Pipeline", folder: Path, reason: str) -> Portable:
    """Write the pipeline as it is into a bundle's folder."""
    from skops.io import dump

    dump(pipeline, folder / MODEL)
    columns, vocabularies = inputs(pipeline)
    meta = {"trusted": trusted(pipeline), "reason": reason, "unit": unit(pipeline["estimator"])}
    return Portable(NATIVE, meta, {}, columns, vocabularies)


def trusted(pipeline: "Pipeline") -> list[str]:
    """Types that models of scikit-learn, LightGBM, XGBoost or this project hold.

    Raises `Refusal` for others: the service would run code it does not have.
    """
    from skops.io import dumps, get_untrusted_types

    ours = f"{__package__.split('.')[0]}."
    libraries = ("sklearn.", "lightgbm.", "xgboost.")
    plain = (
        "collections.OrderedDict",
        "collections.defaultdict",
        "functools.partial",
        "numpy.dtype",
    )
    allowed = (ours, *libraries, *plain)
    found = list(get_untrusted_types(data=dumps(pipeline)))
    if foreign := [name for name in found if not name.startswith(allowed)]:
        raise Refusal(f"the service does not know the types {', '.join(foreign)}")
    return found
