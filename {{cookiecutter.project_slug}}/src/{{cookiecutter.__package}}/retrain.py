"""`make retrain`: new data, monitoring, pipeline, release and record, under one lock.

Whatever keeps the schedule calls this. Safe to repeat: what an interrupted run has finished is
found done by the next, and the rest is finished before anything new is taken in.
"""

import subprocess
import sys
from typing import Any

import msgspec

from . import arrive, config, files, interrupted, locks, paths
from .cli import Refusal, run
from .dvc import dvc, stale
from .monitoring.drift import watch
from .pipeline.compose import CONF, noted
from .registry import history, lineage
from .registry.release import release
from .serving.champion import read_pointer
from .serving.runs import RETRAINED, Run

RECORDED = ("conf/arrived.yaml", "params.json", "schema.json", "dvc.lock")


def retrain(force: bool = False, propose: bool = False) -> dict[str, Any]:
    """Run once and return the journal entry, which is appended whatever happens.

    Where the run is killed, the next one appends it, with the outcome `interrupted`.

    `outcome` is one of nothing_to_do, promoted, refused, proposed, failed. With `propose`
    nothing is released: what has been learned is recorded for somebody to look at.
    """
    with locks.exclusive("retrain"):
        interrupted.put_right()
        entry: dict[str, Any] = {"started": history.now(), "outcome": "failed", "reasons": []}
        try:
            interrupted.note(entry, "data")
            _run(entry, force, propose)
        except BaseException as error:
            entry["error"] = str(error) or type(error).__name__
            raise
        finally:
            entry["ended"] = history.now()
            _write(entry)
        # The service, which tells how long ago that was, does not see the journal.
        done = Run(entry["ended"], entry["outcome"])
        files.write_json(paths.MONITORING / RETRAINED, msgspec.to_builtins(done))
        return entry


def _write(entry: dict[str, Any]) -> None:
    """Append the entry to the journal; on a full disk into the room of the note on this run."""
    try:
        files.append_line(paths.JOURNAL, entry)
        interrupted.done()
    except OSError:
        interrupted.done()
        try:
            files.append_line(paths.JOURNAL, entry)
        except OSError as error:
            message = f"{paths.JOURNAL} could not be written ({error}); outcome: {entry['outcome']}"
            print(f"error: {message}", file=sys.stderr)


def _run(entry: dict[str, Any], force: bool, propose: bool) -> None:
    if noted(CONF):
        raise Refusal("conf/overrides.yaml holds an experiment; `make exp` alone removes it")
    dvc("repro", "compose")
    settings = config.read("retrain", config.Retrain)
    behind = stale()
    unjudged = not behind and not propose and not history.judged(lineage.read().fingerprint)
    if settings.arrive != "none" and not behind and not unjudged:  # one step after the other
        arrive.arrive(settings.arrive)
    entry["new_partitions"] = arrive.pending()
    reasons: list[str] = entry["reasons"]
    if arrive.unsound():  # it may have been mended at its source, which DVC does not see
        dvc("repro", "--force", "--single-item", "ingest")
    dvc("repro", "validate")  # brings the labels of what was predicted earlier, too
    if entry["new_partitions"]:
        reasons.append(f"new data: {', '.join(entry['new_partitions'])}")
    elif behind:
        reasons.append("data, configuration or code have changed since the last run")
    elif unjudged:
        reasons.append("the evaluated model has not been judged yet")
    if force:
        reasons.append("asked for by hand")
    needed = bool(reasons) or not settings.only_when_needed
    if read_pointer(paths.BUNDLES) is not None:
        seen = watch()
        entry["monitoring"] = msgspec.to_builtins(seen)
        print(f"monitoring: {seen.status} ({seen.reason})")
        if seen.status in ("drift", "degraded"):
            reasons.append(f"{seen.status}: {seen.reason}")
    if not needed:
        # The pipeline is deterministic: drift alone, without anything new, gives the same model.
        entry["outcome"] = "nothing_to_do"
        print("nothing new to learn from: nothing to do")
        return
    print(f"retraining: {'; '.join(reasons)}")
    interrupted.note(entry, "pipeline")
    dvc("repro")
    interrupted.note(entry, "record")
    _record(entry, settings)
    if propose:
        entry["outcome"] = "proposed"
        return
    interrupted.note(entry, "release")
    entry["outcome"] = "promoted" if release() else "refused"
    entry["decision"] = files.read_lines(paths.HISTORY)[-1]


def _record(entry: dict[str, Any], settings: config.Retrain) -> None:
    """Keep this data version: its files go to the remote first, then their hashes into git.

    Before the release, so that the commit a version names is the one that makes it again.
    """
    if settings.push:
        dvc("push", "--quiet")
    if settings.commit:
        # Only what retraining writes; other work in the checkout is left alone.
        message = f"Retrain: {'; '.join(entry['reasons'])}"
        done = _git("add")
        if done.returncode == 0 and _git("diff", "--cached", "--quiet").returncode:
            done = _git("commit", "--quiet", "--message", message)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            entry["not_committed"] = said[-1] if said else "git commit failed"
            print(f"not committed to git: {entry['not_committed']}")


def _git(*command: str) -> "subprocess.CompletedProcess[str]":
    """Run a git command on the files that retraining writes."""
    command = ("git", *command, "--", *RECORDED)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def main() -> None:
    """Exit code 0 also when the gate refuses: that is an answer, not a failure."""
    entry = retrain("--force" in sys.argv[1:], "--propose" in sys.argv[1:])
    print(f"outcome: {entry['outcome']}; the journal is {paths.JOURNAL}")


if __name__ == "__main__":
    run(main)
