"""Bundles on disk: writing one aside, moving it into place, pointing the service at it."""

import os
import shutil
from pathlib import Path

import msgspec
import numpy as np

from .. import files, paths
from ..config import Data
from ..features import code
from ..serving import bundle
from ..serving.champion import POINTER, Pointer, read_pointer
from ..serving.schema import Column
from .history import now
from .portable import Portable
from .store import Store, Version


def columns(portable: Portable, data: Data) -> list[Column]:
    """The columns of a model in the predictor's order, as the service knows them."""
    return [
        Column(
            name=name,
            required=data.columns[name].missing == 0,
            vocabulary=portable.vocabularies.get(name),
            description=data.columns[name].description,
            function=(function := data.columns[name].function),
            of=data.columns[name].of,
            code=code(function, "conf/data/") if function else "",
        )
        for name in portable.columns
    ]


def arguments(data: Data) -> list[Column]:
    """The columns of a request that only functions need; text but for numbers."""
    return [
        Column(name, rule.missing == 0, None if rule.type == "numeric" else [], rule.description)
        for name, rule in data.asked.items()
        if name not in data.inputs
    ]


def write(folder: Path, manifest: bundle.Manifest, portable: Portable) -> bundle.Manifest:
    """Write arrays and manifest beside the files already in the folder; returns the manifest."""
    with (folder / bundle.ARRAYS).open("wb") as file:
        np.savez(file, **portable.arrays)  # type: ignore[arg-type]
    others = (path for path in folder.iterdir() if path.name != bundle.MANIFEST)
    sums = {path.name: files.digest(path) for path in others}
    manifest = msgspec.structs.replace(manifest, files=sums)
    write_manifest(folder, manifest)
    return manifest


def write_manifest(folder: Path, manifest: bundle.Manifest) -> None:
    """Write bundle.json."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / bundle.MANIFEST).write_bytes(text + b"\n")


def place(version: Version) -> Path:
    """Folder of a version's bundle; the fingerprint tells the version 1 of two registries apart."""
    return paths.BUNDLES / f"v{version.number}-{version.fingerprint[:8]}"


def sweep() -> None:
    """Remove what a killed process has left aside; for the holder of the release's lock."""
    for path in paths.BUNDLES.glob(".*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def settle(aside: Path, version: Version) -> Path:
    """Move a complete folder into its place; a bundle already there stays as it is."""
    target = place(version)
    if target.exists():
        shutil.rmtree(aside)
    else:
        aside.rename(target)
    return target


def ensure(store: Store, version: Version) -> bundle.Model:
    """A version's checked bundle; one that is missing or damaged is downloaded again.

    Raises `BadBundle` when the registry's copy is damaged, too.
    """
    target = place(version)
    try:
        return bundle.Model(target)
    except bundle.BadBundle:
        aside = paths.BUNDLES / f".fetched-{os.getpid()}"
        shutil.rmtree(aside, ignore_errors=True)
        store.fetch_bundle(version, aside)
        shutil.rmtree(target, ignore_errors=True)
        return bundle.Model(settle(aside, version))


def point(store: Store, version: Version) -> None:
    """Make the service serve a version, after its bundle has passed the service's own checks."""
    target = ensure(store, version).folder
    try:
        pointer = read_pointer(paths.BUNDLES)
    except bundle.BadBundle:
        pointer = None
    if pointer is None or pointer.bundle != target.name:
        pointer = Pointer(target.name, now())
        files.write_text(paths.BUNDLES / POINTER, msgspec.json.encode(pointer).decode() + "\n")
