"""A bundle: the folder that promotion writes and the service loads, checked before it is used."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..cli import Refusal
from .explain import EXPLAINERS, Explainer, Explanation, SampledShapley, explained
from .predictor import FORMS, Floats, Predictor
from .schema import Column, Schema

FORMAT = 1
MANIFEST = "bundle.json"
ARRAYS = "arrays.npz"
REFERENCE = "reference.parquet"
CARD = "card.md"
NATIVE = "native"  # the form of a model that scikit-learn itself serves
TOLERANCE = 1e-9  # of a probability, between scikit-learn's answer and the portable one


class Smoke(msgspec.Struct, frozen=True):
    """A real row and the probability scikit-learn gave it."""

    row: dict[str, Any]
    probability: float


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What bundle.json says of the model; `files` holds the SHA-256 of every other file."""

    format: int
    name: str
    version: int
    run_id: str
    fingerprint: str
    created: str
    data_md5: str
    model_md5: str
    trained_on: list[str]
    judged_on: list[str]
    metrics: dict[str, float]
    mlflow: str
    form: str
    meta: dict[str, Any]
    columns: list[Column]
    key: str
    time: str
    target: str
    threshold: float
    smoke: Smoke
    files: dict[str, str]


class BadBundle(Refusal):
    """A bundle that must not serve, and why."""


class Model:
    """A loaded bundle: the manifest, the schema of its rows and the predictor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        except (OSError, msgspec.MsgspecError) as error:
            raise BadBundle(f"{folder.name}/{MANIFEST}: {error}") from None
        manifest = self.manifest
        if manifest.format != FORMAT:
            raise BadBundle(f"{folder.name} has format {manifest.format}, this code reads {FORMAT}")
        for name, expected in manifest.files.items():
            try:
                found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            except OSError as error:
                raise BadBundle(f"{folder.name}/{name}: {error}") from None
            if found != expected:
                raise BadBundle(f"{folder.name}/{name} does not have the checksum of the manifest")
        self.schema = Schema(manifest.columns, manifest.key, manifest.time)
        self.quick = manifest.form != NATIVE
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            self._arrays = dict(arrays)
        self._predictor = self._load() if self.quick else self._load_native()
        self._smoke()

    def _load(self) -> Predictor:
        return FORMS[self.manifest.form](self._arrays, self.manifest.meta)

    def _load_native(self) -> Predictor:
        from .native import MODEL, Native

        vocabularies = {column.name: column.vocabulary for column in self.manifest.columns}
        try:
            return Native(self.folder / MODEL, self.manifest.meta["trusted"], vocabularies)
        except ImportError as error:
            raise BadBundle(
                f"{self.folder.name} is served by scikit-learn, which is not here ({error}): "
                "install locks/serve-native.txt in place of locks/serve.txt"
            ) from None

    def _smoke(self) -> None:
        row = self.schema.decode(msgspec.json.encode(self.manifest.smoke.row))
        many, _ = self.predict([row, row])
        for found in (*many, self.one(row)[0]):
            if not abs(found - self.manifest.smoke.probability) <= TOLERANCE:
                raise BadBundle(
                    f"{self.folder.name} answers {found} to its smoke row, "
                    f"not {self.manifest.smoke.probability}"
                )

    def one(self, row: Any) -> tuple[float, list[str]]:
        """The probability of a decoded row, and its columns with an unseen category."""
        values, unseen = self.schema.encode_row(row)
        return self._predictor.one(values), unseen

    def predict(self, rows: Sequence[Any]) -> tuple[list[float], list[list[str]]]:
        """Probabilities of decoded rows, and for each its columns with an unseen category."""
        columns, unseen = self.schema.encode(rows)
        return self._predictor.predict(columns).tolist(), unseen

    def predict_columns(self, table: Mapping[str, Sequence[Any]]) -> Floats:
        """Probabilities of the rows of a table, shape (n,)."""
        return self._predictor.predict(self.schema.encode_columns(table))

    def predict_each(self, table: Mapping[str, Sequence[Any]]) -> Floats:
        """The same, each row on its own as `one` answers it."""
        arrays = self.schema.encode_columns(table)
        columns = [[None if x != x else x for x in array.tolist()] for array in arrays]
        return np.array([self._predictor.one(row) for row in zip(*columns, strict=True)])

    def explain(self, row: Any) -> Explanation:
        """What each column of a decoded row adds to the answer."""
        columns, _ = self.schema.encode([row])
        return explained(self._explainer, columns, [column.name for column in self.schema.columns])

    @cached_property
    def _explainer(self) -> Explainer:
        if self.quick:
            return EXPLAINERS[self.manifest.form](self._arrays, self.manifest.meta)
        background = [self._arrays[f"background_{i}"] for i in range(len(self.schema.columns))]
        return SampledShapley(self._predictor.predict, background)
