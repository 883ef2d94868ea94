"""`make retrain`: new data, monitoring, decision, pipeline, release and record, under one lock.

Whatever keeps the schedule calls this. Safe to repeat: what an interrupted run has finished is
found done by the next, and the rest is finished before anything new is taken in.
"""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from . import alerts, arrive, config, files, interrupted, locks, paths, triggers
from .cli import Refusal, run
from .dvc import dvc, stale
from .monitoring import trend
from .monitoring.drift import watch
from .monitoring.guard import react
from .monitoring.summary import Summary
from .pipeline.compose import CONF, noted
from .registry import history, lineage, shadow
from .registry.release import release
from .serving.champion import read_pointer
from .serving.runs import RETRAINED, Run

Entry = dict[str, Any]
Journal = list[Entry]

RECORDED = ("conf/arrived.yaml", "params.json", "schema.json", "dvc.lock")


def retrain(force: bool = False, propose: bool = False, unattended: bool = False) -> Entry:
    """Run once and return the journal entry, which is appended whatever happens.

    Where the run is killed, the next one appends it, with the outcome `interrupted`. Else `outcome`
    is one of nothing_to_do, waiting, held_back (see `triggers`), promoted, refused, shadowed,
    proposed, failed. With `propose` nothing is released: what has been learned is recorded for
    somebody to look at. The limits of conf/retrain/ hold for `unattended` runs.
    """
    with locks.exclusive("retrain"):
        if killed := interrupted.put_right():
            alerts.ended(killed, "")
        journal = files.read_lines(paths.JOURNAL)
        entry: Entry = {"started": history.now(), "outcome": "failed", "reasons": []}
        try:
            interrupted.note(entry, "data")
            _run(entry, journal, force, propose, unattended)
        except BaseException as error:
            entry["error"] = str(error) or type(error).__name__
            raise
        finally:
            entry["ended"] = history.now()
            _close(entry, journal)
        # The service, which tells how long ago that was, does not see the journal.
        done = Run(entry["ended"], entry["outcome"])
        files.write_json(paths.MONITORING / RETRAINED, msgspec.to_builtins(done))
        return entry


def _close(entry: Entry, journal: Journal) -> None:
    """Tell the alert hook, and write the journal: in this order, since the disk may be full."""
    try:
        _troubles(entry, [alerts.ended(entry, journal[-1].get("outcome", "") if journal else "")])
    finally:
        _write(entry)


def _troubles(entry: Entry, troubles: Sequence[str | None]) -> None:
    """Keep what went wrong with the alert hook."""
    if found := [trouble for trouble in troubles if trouble]:
        entry.setdefault("not_told", []).extend(found)


def _write(entry: Entry) -> None:
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


def _run(entry: Entry, journal: Journal, force: bool, propose: bool, unattended: bool) -> None:
    if noted(CONF):
        raise Refusal("conf/overrides.yaml holds an experiment; `make exp` alone removes it")
    dvc("repro", "compose")
    settings = config.read("retrain", config.Retrain)
    if force and "by_hand" not in settings.triggers:
        raise Refusal("FORCE=1 is switched off: add by_hand to `triggers` in conf/retrain/")
    news = _take_in(entry, journal, settings.arrive, propose)
    entry["reasons"] = [news] if news else []
    seen = _look(entry)
    if seen and not propose:
        trend.log(seen.version)
    alarm = triggers.alarm_of(settings, seen, config.read("monitoring.min_rows", int))
    counted = journal if unattended else []
    decision = triggers.decide(settings, news, alarm, force, counted, datetime.now(UTC))
    entry["reasons"] = decision.reasons
    live = None if propose else shadow.follow()
    if live:
        entry["decision"] = entry["live"] = live
    if decision.step != "retrain":
        entry |= {"outcome": live["event"] if live else decision.step, "why_not": decision.why_not}
        print(f"{decision.step.replace('_', ' ')}: {decision.why_not}")
        return
    print(f"retraining: {'; '.join(decision.reasons)}")
    entry["training"] = True
    interrupted.note(entry, "pipeline")
    dvc("repro")
    interrupted.note(entry, "record")
    _record(entry, settings)
    if propose:
        entry["outcome"] = "proposed"
        return
    interrupted.note(entry, "release")
    waits = not (promoted := release()) and shadow.waits(lineage.read().fingerprint)
    entry["outcome"] = "promoted" if promoted else "shadowed" if waits else "refused"
    entry["decision"] = files.read_lines(paths.HISTORY)[-1]


def _take_in(entry: Entry, journal: Journal, which: str, propose: bool) -> str:
    """Take new data over and validate them, which brings the labels of what was predicted, too.

    Returns what there is to learn from that no model has been judged on; empty when nothing is.
    """
    behind = stale()
    unjudged = not behind and not propose and not history.judged(lineage.read().fingerprint)
    last: Entry = next((one for one in reversed(journal) if one["outcome"] != "interrupted"), {})
    waits = last.get("outcome") in triggers.WAITS
    if which != "none" and (waits or not (behind or unjudged)):  # one step after the other
        arrive.arrive(which)
    waiting = last.get("new_partitions", []) if waits and behind else []
    entry["new_partitions"] = list(dict.fromkeys([*waiting, *arrive.pending()]))
    if arrive.unsound():  # it may have been mended at its source, which DVC does not see
        dvc("repro", "--force", "--single-item", "ingest")
    dvc("repro", "validate")
    if entry["new_partitions"]:
        return f"new data: {', '.join(entry['new_partitions'])}"
    if behind:
        return "data, configuration or code have changed since the last run"
    return "the evaluated model has not been judged yet" if unjudged else ""


def _look(entry: Entry) -> Summary | None:
    """Have the monitor look at the champion's traffic, and do what follows at once."""
    if read_pointer(paths.BUNDLES) is None:
        return None
    seen = watch()
    entry["monitoring"] = msgspec.to_builtins(seen)
    print(f"monitoring: {seen.status} ({seen.reason})")
    guarded, troubles = react(seen)
    if guarded:
        entry["rollback"] = msgspec.to_builtins(guarded)
    _troubles(entry, troubles)
    return seen


def _record(entry: Entry, settings: config.Retrain) -> None:
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
    """Exit code 0 also when the gate refuses or a limit holds: these are no failures."""
    asked = sys.argv[1:]
    entry = retrain("--force" in asked, "--propose" in asked, "--unattended" in asked)
    print(f"outcome: {entry['outcome']}; the journal is {paths.JOURNAL}")


if __name__ == "__main__":
    run(main)
