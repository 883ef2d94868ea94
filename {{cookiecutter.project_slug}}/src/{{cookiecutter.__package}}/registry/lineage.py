"""What dvc.lock knows of the evaluated model: which data, parameters and code made it."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
from omegaconf import OmegaConf
from yaml import YAMLError

from .. import files, paths
from ..cli import Refusal

# What a commit must hold to make the model again.
MADE_BY = ("conf", "src", "locks", "dvc.yaml", "dvc.lock", "params.json", "schema.json")


class Lineage(msgspec.Struct, frozen=True):
    """`fingerprint` is the SHA-256 of the model, of all that made it and of how it is served."""

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
    try:
        recorded: Any = OmegaConf.to_container(OmegaConf.load(lock))
        stages = recorded["stages"]
    except (YAMLError, KeyError, TypeError):
        raise Refusal(
            "dvc.lock is broken: restore it with git, or remove it and run `dvc repro`"
        ) from None
    if missing := {"ingest", "validate", "split", "train", "evaluate"} - set(stages):
        raise Refusal(f"dvc.lock has no stage {', '.join(sorted(missing))}: run `dvc repro` first")
    outs = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    for path in (paths.MODEL, paths.HOLDOUT, paths.METRICS):
        if not path.exists() or files.digest(path, "md5") != outs[path.as_posix()]:
            raise Refusal(f"{path} is not the one that dvc.lock records: run `dvc repro` first")
    train = stages["train"]
    # The service also takes the columns, the roles and the threshold from the configuration.
    deps = {dep["path"]: dep["md5"] for dep in stages["validate"]["deps"]}
    settings = [deps[paths.SCHEMA.as_posix()], stages["evaluate"]["params"]]
    made_by = json.dumps([train["deps"], train["params"], train["outs"], settings], sort_keys=True)
    commit = _git("rev-parse", "HEAD")
    changed = commit != "none" and _git("status", "--porcelain", "--", *MADE_BY)
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
