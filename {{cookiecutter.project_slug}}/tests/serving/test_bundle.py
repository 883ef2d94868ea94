import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from {{ cookiecutter.__package }}.registry import deploy
from {{ cookiecutter.__package }}.serving import bundle
from {{ cookiecutter.__package }}.serving.bundle import BadBundle, Manifest, Model
from {{ cookiecutter.__package }}.serving.predictor import Trees

from .. import customers
from .wire import ROW

Change = Callable[[Path], Any]
ARRAYS, CARD, MANIFEST, REFERENCE = bundle.ARRAYS, bundle.CARD, bundle.MANIFEST, bundle.REFERENCE


@pytest.fixture
def folder(var: Path) -> Path:
    """A sound bundle to break."""
    (found,) = var.glob("bundles/v1-*")
    return found


def manifest(folder: Path) -> Manifest:
    return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)


def rewritten(**changes: Any) -> Change:
    """The manifest says something else."""
    return lambda folder: deploy.write_manifest(
        folder, msgspec.structs.replace(manifest(folder), **changes)
    )


def cut(name: str) -> Change:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-1])


def flipped(folder: Path) -> None:
    content = bytearray((folder / ARRAYS).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / ARRAYS).write_bytes(content)


def answering_otherwise(folder: Path) -> None:
    smoke = manifest(folder).smoke
    assert isinstance(smoke.answer, float)
    wrong = msgspec.structs.replace(smoke, answer=smoke.answer + 1e-6)
    rewritten(smoke=wrong)(folder)


def gone(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def without(key: str) -> Change:
    def change(folder: Path) -> None:
        found = msgspec.json.decode((folder / MANIFEST).read_bytes())
        del found[key]
        (folder / MANIFEST).write_bytes(msgspec.json.encode(found))

    return change


def test_a_sound_bundle_loads_and_knows_its_columns(folder: Path) -> None:
    model = Model(folder)
    assert {c.name for c in model.schema.columns} == set(customers.PARAMS["data"]["columns"])
    required = {column.name for column in model.schema.columns if column.required}
    assert required == {"age", "from", "region", "visits.monthly"}
    assert set(model.manifest.files) == {ARRAYS, CARD, REFERENCE}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (flipped, f"v1-[0-9a-f]+/{ARRAYS} does not have the checksum"),
        (cut(ARRAYS), f"v1-[0-9a-f]+/{ARRAYS} does not have the checksum"),
        (cut(REFERENCE), f"v1-[0-9a-f]+/{REFERENCE} does not have the checksum"),
        (gone(ARRAYS), f"v1-[0-9a-f]+/{ARRAYS}: .*No such file"),
        (gone(CARD), f"v1-[0-9a-f]+/{CARD}: .*No such file"),
        (gone(MANIFEST), f"v1-[0-9a-f]+/{MANIFEST}: .*No such file"),
        (without("smoke"), f"v1-[0-9a-f]+/{MANIFEST}: .*smoke"),
        (lambda folder: (folder / MANIFEST).write_bytes(b"{"), f"v1-[0-9a-f]+/{MANIFEST}: "),
        (rewritten(format=99), f"v1-.* has format 99, this code reads {bundle.FORMAT}"),
        (answering_otherwise, "v1-.* answers .* to its smoke row, not "),
    ],
)
def test_a_broken_bundle_is_refused_and_says_what_is_broken(
    change: Change, said: str, folder: Path
) -> None:
    change(folder)
    with pytest.raises(BadBundle, match=said):
        Model(folder)


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_half_written_manifest_is_refused(share: float, folder: Path) -> None:
    text = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).write_bytes(text[: int(len(text) * share)])
    with pytest.raises(BadBundle, match=MANIFEST):
        Model(folder)


@pytest.mark.parametrize("way", ["one", "predict"])
def test_both_ways_of_answering_are_held_to_the_smoke_row(
    way: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: Any = {"one": lambda *_: 0.123, "predict": lambda *_: np.array([0.123, 0.123])}[way]
    monkeypatch.setattr(Trees, way, wrong)
    with pytest.raises(BadBundle, match=r"answers 0\.123 to its smoke row"):
        Model(folder)


def test_a_smoke_answer_that_is_no_number_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trees, "one", lambda *_: float("nan"))
    with pytest.raises(BadBundle, match="answers nan"):
        Model(folder)


def test_a_table_is_answered_as_its_rows_are_one_by_one(folder: Path) -> None:
    model = Model(folder)
    rows = [customers.request(number) for number in range(20)] + [ROW | {"region": "moon"}]
    names = list(customers.PARAMS["data"]["columns"])
    table = {name: [row[name] for row in rows] for name in names}
    decoded = [model.schema.convert_row(row, 0) for row in rows]
    each = [model.one(row)[0] for row in decoded]
    assert model.predict(decoded)[0] == pytest.approx(each, rel=0, abs=1e-15)
    assert model.predict_columns(table) == pytest.approx(each, rel=0, abs=1e-15)
    assert model.predict_each(table).tolist() == each


def test_arrays_that_would_run_code_are_never_loaded(folder: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (folder / "sprung",))

    np.savez(folder / ARRAYS, allow_pickle=True, masks_0=np.array([Trap()], dtype=object))
    sums = manifest(folder).files
    sums[ARRAYS] = hashlib.sha256((folder / ARRAYS).read_bytes()).hexdigest()
    rewritten(files=sums)(folder)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Model(folder)
    assert not (folder / "sprung").exists()
