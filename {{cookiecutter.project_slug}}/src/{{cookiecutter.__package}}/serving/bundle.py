"""A bundle: the folder that promotion writes and the service loads, checked before it is used."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..cli import Refusal
from .predictor import FORMS, Floats
from .schema import Column, Schema

FORMAT = 1
MANIFEST = "bundle.json"
ARRAYS = "arrays.npz"
REFERENCE = "reference.parquet"
CARD = "card.md"
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
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            self._predictor = FORMS[manifest.form](dict(arrays), manifest.meta)
        self._smoke()

    def _smoke(self) -> None:
        (row,) = self.schema.decode(msgspec.json.encode(self.manifest.smoke.row))
        (found,) = self.predict([row])
        if not abs(found - self.manifest.smoke.probability) <= TOLERANCE:
            raise BadBundle(
                f"{self.folder.name} answers {found} to its smoke row, "
                f"not {self.manifest.smoke.probability}"
            )

    def predict(self, rows: Sequence[Any]) -> Floats:
        """Probabilities of decoded rows, shape (n,)."""
        return self._predictor.predict(self.schema.encode(rows))

    def predict_columns(self, table: Mapping[str, Sequence[Any]]) -> Floats:
        """Probabilities of the rows of a table, shape (n,)."""
        return self._predictor.predict(self.schema.encode_columns(table))
