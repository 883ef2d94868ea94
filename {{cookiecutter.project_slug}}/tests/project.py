"""A small project on disk: written, run stage by stage, and looked at from inside."""

import copy
import hashlib
import json
import operator
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, reduce
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from {{ cookiecutter.__package }} import config, files, paths
from {{ cookiecutter.__package }}.pipeline import compose

from . import customers

ROOT = Path(__file__).parents[1]
STAGES = ("ingest", "validate", "split", "train", "evaluate")


@contextmanager
def inside(folder: Path) -> Iterator[Path]:
    """Work in a project folder, with everything that has a life of its own below its var/."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(paths, "VAR", folder / "var")
        for name in ("bundles", "predictions", "feedback", "monitoring", "verdicts", "shadow"):
            patch.setattr(paths, name.upper(), folder / "var" / name)
        patch.setattr(paths, "LOGS", folder / "var/log")
        for name in ("history", "journal"):
            patch.setattr(paths, name.upper(), folder / "var" / f"{name}.jsonl")
        yield folder


def write_params(**changes: Any) -> None:
    """Write the parameters (see `customers.params`), as compose does, and conf/arrived.yaml."""
    params = customers.params(**changes)
    config.check(params, config.Params, "customers.PARAMS")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "compose", lambda *_: copy.deepcopy(params))
        compose.main()
    lines = "".join(f'  - "{name}"\n' for name in params["partitions"])
    files.write_text(Path("conf/arrived.yaml"), f"# What has arrived.\npartitions:\n{lines}")


def run(*stages: str) -> None:
    """Run stages, all when none is named, and record the result as DVC does."""
    for name in stages or STAGES:
        import_module(f"{compose.__package__}.{name}").main()
    write_lock()


def write_lock() -> None:
    """Write dvc.lock for what is in the folder now; dvc.yaml says what belongs to a stage."""
    params = files.read_json(paths.PARAMS)
    stages: dict[str, Any] = {}
    for name, stage in declared().items():
        if name not in STAGES:
            continue
        deps = [path if Path(path).exists() else ROOT / path for path in stage["deps"]]
        stages[name] = {
            "cmd": stage["cmd"],
            "deps": [{"path": str(path), "md5": md5(Path(path))} for path in deps],
            "params": {paths.PARAMS.name: {key: at(params, key) for key in read_by(stage)}},
            "outs": [{"path": path, "md5": md5(Path(path))} for path in made_by(stage)],
        }
    files.write_json(Path("dvc.lock"), {"schema": "2.0", "stages": stages})  # JSON is YAML too


def commit() -> None:
    """Put the project under git, as it is now; what the stages make is ignored."""
    files.write_text(Path(".gitignore"), "data/\nmodels/\nreports/\nvar/\n")
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q", "--template="], ["add", "."], [*who, "commit", "-qm", "All"]):
        subprocess.run(["git", *command], check=True)


@cache
def declared() -> dict[str, Any]:
    """The stages of the real dvc.yaml."""
    stages: Any = OmegaConf.to_container(OmegaConf.load(ROOT / "dvc.yaml"))
    return dict(stages["stages"])


def read_by(stage: dict[str, Any]) -> list[str]:
    """Keys of the parameters that a stage lists."""
    return [key for listed in stage.get("params", []) for key in listed[paths.PARAMS.name]]


def at(params: dict[str, Any], key: str) -> Any:
    """The value of a dotted key."""
    return reduce(operator.getitem, key.split("."), params)


def made_by(stage: dict[str, Any]) -> list[str]:
    """Paths of a stage's outputs and metrics."""
    outs = [*stage.get("outs", []), *stage.get("metrics", [])]
    return sorted(out if isinstance(out, str) else next(iter(out)) for out in outs)


def md5(path: Path) -> str:
    """A file's MD5, or a folder's as DVC makes it."""
    if path.is_file():
        return files.digest(path, "md5")
    found = [
        {"md5": files.digest(file, "md5"), "relpath": file.relative_to(path).as_posix()}
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.suffix != ".pyc"
    ]
    listing = json.dumps(found, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def bundle(version: int) -> Path:
    """Folder of a version's bundle."""
    (found,) = paths.BUNDLES.glob(f"v{version}-*")
    return found


def copied(folder: Path, to: Path) -> Path:
    """A copy of a project, to change it."""
    shutil.copytree(folder, to)
    return to
