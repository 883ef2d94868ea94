"""What dvc.lock knows of the evaluated model: which data, parameters and code made it."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
from omegaconf import OmegaConf

from .. import files, paths
from ..cli import Refusal


class Lineage(msgspec.Struct, frozen=True):
    """`fingerprint` is the SHA-256 of everything that made the model, and of the model itself."""

    fingerprint: str
    data_md5: str
    model_md5: str
    git_commit: str
    parameters: dict[str, Any]


def read() -> Lineage:
    """Lineage of the workspace's model.

    Raises `Refusal` when the workspace holds another model or holdout than dvc.lock records.
    """
    lock = Path("dvc.lock")
    if not lock.exists():
        raise Refusal("dvc.lock is not here: run `dvc repro` first")
    recorded: Any = OmegaConf.to_container(OmegaConf.load(lock))
    stages = recorded["stages"]
    if missing := {"ingest", "split", "train", "evaluate"} - set(stages):
        raise Refusal(f"dvc.lock has no stage {', '.join(sorted(missing))}: run `dvc repro` first")
    outs = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    for path in (paths.MODEL, paths.HOLDOUT, paths.METRICS):
        if not path.exists() or files.digest(path, "md5") != outs[path.as_posix()]:
            raise Refusal(f"{path} is not the one that dvc.lock records: run `dvc repro` first")
    train = stages["train"]
    made_by = json.dumps([train[part] for part in ("deps", "params", "outs")], sort_keys=True)
    commit = _git("rev-parse", "HEAD")
    changed = commit != "none" and _git("status", "--porcelain", "--untracked-files=no")
    return Lineage(
        fingerprint=hashlib.sha256(made_by.encode()).hexdigest(),
        data_md5=outs[paths.RAW.as_posix()],
        model_md5=outs[paths.MODEL.as_posix()],
        git_commit=f"{commit}+changes" if changed else commit,
        parameters=train["params"]["params.json"],
    )


def _git(*arguments: str) -> str:
    # A project outside git, or without a commit, has no commit to name.
    found = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else "none"
