"""`make exp SET="model=random_forest"`: try Hydra overrides, track the run, compare its metrics.

The overrides are noted in conf/overrides.yaml, because params.json is composed anew by every
`dvc repro`. Without any, the note is removed and conf/ alone counts again.
"""

import json
import sys

from . import config, files, locks, paths
from .cli import Refusal, run
from .dvc import dvc
from .pipeline.compose import CONF, compose
from .registry import lineage, tracking
from .registry.store import CHAMPION, Store

NOTE = CONF / "overrides.yaml"


def note(overrides: list[str]) -> None:
    """Write the overrides down, after checking that they compose."""
    compose(CONF, overrides)
    if overrides:
        lines = "\n".join(f"- {json.dumps(override)}" for override in overrides)
        files.write_text(NOTE, f"# Written by `make exp`; `make exp` alone removes it.\n{lines}\n")
    else:
        NOTE.unlink(missing_ok=True)


def attempt(overrides: list[str]) -> None:
    """Run the pipeline with the overrides; where it fails, the note is again what it was."""
    before = NOTE.read_text(encoding="utf-8") if NOTE.exists() else None
    note(overrides)
    try:
        dvc("repro")
    except Refusal:
        if before is None:
            NOTE.unlink(missing_ok=True)
        else:
            files.write_text(NOTE, before)
        raise


def main() -> None:
    """Note the overrides, run the pipeline, track the run and print its metrics."""
    with locks.exclusive("retrain"):  # never between a retraining's pipeline and its release
        attempt(sys.argv[1:])
        report()


def report() -> None:
    """Track the workspace's model and print its metrics beside the champion's."""
    store = Store(config.read("name", str))
    run_id = tracking.track(store, lineage.read())
    champion = store.holder(CHAMPION)
    ours = files.read_json(paths.METRICS)["model"]
    theirs = store.metrics(champion.run_id) if champion else {}
    print(f"run {run_id}; the champion's figures are those of its own holdout")
    for name, value in ours.items():
        other = theirs.get(f"model.{name}")
        beside = f"   champion {other:.4f}" if other is not None else ""
        print(f"  {name:<18} {value:.4f}{beside}")


if __name__ == "__main__":
    run(main)
