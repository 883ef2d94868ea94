"""A bundle: the folder that promotion writes and the service loads, checked before it is used."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..cli import Refusal
from ..config import Class, Task
from .answers import Answers, Binary, Multiclass, Regression
from .explain import EXPLAINERS, Explainer, Explanation, SampledShapley, explained
from .predictor import FORMS, Floats, Output, Predictor
from .schema import Column, Schema

FORMAT = 2
MANIFEST = "bundle.json"
ARRAYS = "arrays.npz"
REFERENCE = "reference.parquet"
CARD = "card.md"
NATIVE = "native"  # the form of a model that scikit-learn itself serves
TOLERANCE = 1e-9  # between the estimator's answer and the portable one; of a large number, relative


class Smoke(msgspec.Struct, frozen=True):
    """A real row and the answer scikit-learn gave it."""

    row: dict[str, Any]
    answer: float | list[float]


class HeldOut(msgspec.Struct, frozen=True):
    """The share of each partition's rows, or of all groups, that never trains a model."""

    share: float
    group: str | None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What bundle.json says of the model; `files` holds the SHA-256 of every other file.

    `arguments` are columns of requests that only functions of `columns` need. `held_out` tells a
    split by share from one by partition (None), `half_width` that of a regression's interval.
    """

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
    task: Task
    classes: list[Class] | None
    columns: list[Column]
    arguments: list[Column]
    key: str
    time: str | None
    target: str
    threshold: float
    half_width: float | None
    held_out: HeldOut | None
    smoke: Smoke
    files: dict[str, str]


class Format(msgspec.Struct):
    """The one field that bundles of all formats have."""

    format: int


class BadBundle(Refusal):
    """A bundle that must not serve, and why."""


class OtherFormat(BadBundle):
    """A bundle written by another version of this code."""


class Model:
    """A loaded bundle: the manifest, the schema of its rows and the predictor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            text = (folder / MANIFEST).read_bytes()
            if (written := msgspec.json.decode(text, type=Format).format) != FORMAT:
                raise OtherFormat(f"{folder.name} has format {written}, this code reads {FORMAT}")
            self.manifest = msgspec.json.decode(text, type=Manifest)
        except (OSError, msgspec.MsgspecError) as error:
            raise BadBundle(f"{folder.name}/{MANIFEST}: {error}") from None
        manifest = self.manifest
        for name, expected in manifest.files.items():
            try:
                found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            except OSError as error:
                raise BadBundle(f"{folder.name}/{name}: {error}") from None
            if found != expected:
                raise BadBundle(f"{folder.name}/{name} does not have the checksum of the manifest")
        self.schema = Schema(manifest.columns, manifest.key, manifest.time, manifest.arguments)
        self.answers: Answers = answers_of(manifest)
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
            trusted = self.manifest.meta["trusted"]
            return Native(self.folder / MODEL, trusted, vocabularies, self.manifest.task)
        except ImportError as error:
            raise BadBundle(
                f"{self.folder.name} is served by scikit-learn, which is not here ({error}): "
                "install locks/serve-native.txt in place of locks/serve.txt"
            ) from None

    def _smoke(self) -> None:
        row = self.schema.decode(msgspec.json.encode(self.manifest.smoke.row))
        expected = np.array(self.manifest.smoke.answer)
        many, _ = self.predict([row, row])
        for found in (*many, self.one(row)[0]):
            if not differ(np.array(found), expected) <= self.tolerance:
                raise BadBundle(
                    f"{self.folder.name} answers {found} to its smoke row, "
                    f"not {self.manifest.smoke.answer}"
                )

    @property
    def tolerance(self) -> float:
        """How far an answer may be from the estimator's, see `differ`."""
        return float(self.manifest.meta.get("tolerance", TOLERANCE))

    def one(self, row: Any) -> tuple[Output, list[str]]:
        """The answer to a decoded row, and its columns with an unseen category."""
        values, unseen = self.schema.encode_row(row)
        return self._predictor.one(values), unseen

    def predict(self, rows: Sequence[Any]) -> tuple[list[Any], list[list[str]]]:
        """Answers to decoded rows, and for each its columns with an unseen category."""
        columns, unseen = self.schema.encode(rows)
        return self._predictor.predict(columns).tolist(), unseen

    def predict_columns(self, table: Mapping[str, Sequence[Any]]) -> Floats:
        """Answers to the rows of a table, shape (n,) or (n, classes)."""
        return self._predictor.predict(self.schema.encode_columns(table))

    def predict_each(self, table: Mapping[str, Sequence[Any]]) -> Floats:
        """The same, each row on its own as `one` answers it."""
        arrays = self.schema.encode_columns(table)
        columns = [[None if x != x else x for x in array.tolist()] for array in arrays]
        return np.array([self._predictor.one(row) for row in zip(*columns, strict=True)])

    def explain(self, row: Any) -> Explanation:
        """What each column of a decoded row adds to the answer."""
        columns, _ = self.schema.encode([row])
        output = self.answers.answered(self._predictor.predict(columns)[0].tolist())
        names = [column.name for column in self.schema.columns]
        return explained(self._explainer, columns, names, output)

    @cached_property
    def _explainer(self) -> Explainer:
        if self.quick:
            return EXPLAINERS[self.manifest.form](self._arrays, self.manifest.meta)
        background = [self._arrays[f"background_{i}"] for i in range(len(self.schema.columns))]
        return SampledShapley(self._predictor.predict, background, self.manifest.meta["unit"])


def answers_of(manifest: Manifest) -> Answers:
    """What is told of a row, by the manifest's task."""
    if manifest.task == "regression":
        return Regression(manifest.half_width)
    classes = manifest.classes or []
    return Binary(classes, manifest.threshold) if len(classes) == 2 else Multiclass(classes)


def differ(found: Floats, expected: Floats) -> float:
    """The largest difference of two arrays of answers, relative where they are large."""
    return float((np.abs(found - expected) / np.maximum(1.0, np.abs(expected))).max())
