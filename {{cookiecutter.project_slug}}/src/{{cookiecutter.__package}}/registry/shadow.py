"""A challenger in the shadow: it answers the champion's traffic unseen, until live labels decide.

The alias `challenger` tells which version it is. Everything else lies in its folder below
var/shadow/: since when, its log, and the decision, which is written down before it is carried out,
so that the next look finishes what was interrupted.
"""

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from .. import config, files, locks, paths
from ..serving import bundle
from ..serving import challenger as status
from . import deploy, history, live
from .compare import readable
from .crown import complete
from .gate import Verdict
from .promote import found, promote, report
from .store import CHALLENGER, REFUSED, Store, Version

STATE, DECISION = "state.json", "decision.json"
WAIT = 60  # seconds for a release to end


class State(msgspec.Struct, frozen=True):
    """When this challenger `began` to wait, and `since` when logged rows count.

    `line` is what the history says of the beginning.
    """

    began: datetime
    since: datetime
    line: dict[str, Any]


class Decision(msgspec.Struct, frozen=True):
    """What was decided, when (as the history tells it) and against which champion.

    `line` is what the history says of it.
    """

    promoted: bool
    at: str
    champion: int
    line: dict[str, Any]


def wanted(verdict: Verdict) -> bool:
    """Whether live traffic has the last word on a challenger that has passed on the holdout.

    Not where there is nothing to compare: no champion, its own model with other settings, or other
    requests than those of today.
    """
    if not _on() or verdict.champion is None or verdict.rule == "same_model":
        return False
    if verdict.changes:
        print(f"today's requests cannot be tried on it: the model {verdict.changes[0]}")
    return not verdict.changes


def begin(store: Store, version: Version, reason: str, **line: Any) -> dict[str, Any] | None:
    """Let a version answer unseen; it takes over the place and the traffic of an older one.

    Returns what `look` does.
    """
    now = datetime.fromisoformat(history.now())
    since, older = now, store.holder(CHALLENGER)
    if older and older.number != version.number:
        since = _state(older).since
        _replaced(older, f"version {version.number}, which is newer, answers unseen in its place")
    folder = _folder(version)
    shutil.rmtree(folder, ignore_errors=True)
    state = State(now, since, {"reason": reason, **line})
    files.write_json(folder / STATE, msgspec.to_builtins(state))
    store.alias(CHALLENGER, version.number)
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return look(store)


def leave(store: Store, champion: Version) -> None:
    """Take the alias away, because this version has become champion."""
    if older := store.holder(CHALLENGER):
        if older.number != champion.number:
            _replaced(older, f"version {champion.number} is champion")
        _end(store)


def waits(fingerprint: str) -> bool:
    """Whether the model of this fingerprint answers unseen."""
    seen = status.read(paths.MONITORING) if _on() else None
    return seen is not None and seen.fingerprint == fingerprint


def follow() -> dict[str, Any] | None:
    """Let a challenger answer what has been logged, and judge it once enough labels are known.

    Returns the line of the history that ends its waiting; None as long as it waits, without a
    challenger, and where conf/gate/ asks for none.
    """
    if not _on():
        return None
    with locks.exclusive("release", wait=WAIT):
        return look(Store(config.read("name", str)))


def look(store: Store) -> dict[str, Any] | None:
    """The same for who holds the lock `release` already."""
    if not _on():
        return None
    champion, challenger = complete(store), store.holder(CHALLENGER)
    if challenger is None or champion is None:
        (paths.MONITORING / status.WAITING).unlink(missing_ok=True)
        return None
    path = _folder(challenger) / DECISION
    decision = msgspec.json.decode(path.read_bytes(), type=Decision) if path.exists() else None
    if decision and champion.number not in (decision.champion, challenger.number):
        decision = None  # there is another champion since
    if challenger.rolled_back or (champion.number == challenger.number and not decision):
        _end(store)
        return None
    if decision is None:
        if (decision := _decided(store, champion, challenger)) is None:
            return None
        files.write_json(path, msgspec.to_builtins(decision))
    return _carry_out(store, champion, challenger, decision)


def _decided(store: Store, champion: Version, challenger: Version) -> Decision | None:
    state = _state(challenger)
    if not history.noted("shadowed", challenger.fingerprint, state.began.isoformat()):
        history.record("shadowed", challenger.number, challenger.fingerprint, **state.line)
    if (old := readable(store, champion)) is None:
        print("the champion cannot be compared any more: the challenger goes on waiting")
        return None
    verdict: Verdict | None
    try:
        new = deploy.ensure(store, challenger)
    except bundle.OtherFormat as other:  # the code has been updated since
        verdict = live.refused("unanswered", f"it cannot answer any more: {other}")
    else:
        folder = _folder(challenger) / "answers"
        verdict = live.verdict(folder, old, new, state.since, state.began)
    if verdict is None:
        return None
    name = f"{store.name}, version {challenger.number}"
    page = report(store, name, challenger.fingerprint, verdict, challenger.run_id)
    line = {"rule": verdict.rule, "previous": champion.number, "report": page}
    line = {"reason": verdict.reason} | line
    return Decision(verdict.promoted, history.now(), champion.number, line)


def _carry_out(
    store: Store, champion: Version, challenger: Version, decision: Decision
) -> dict[str, Any]:
    """Each step looks whether it has been done; the alias, by which this is found, goes last."""
    line = decision.line
    if decision.promoted:
        if champion.number != challenger.number:
            promote(store, challenger, champion, **line)
    else:
        print(f"version {challenger.number} is refused by rule {line['rule']}: {line['reason']}")
        print(f"the champion stays. Why: {found(line)}")
        if not history.noted("refused", challenger.fingerprint, decision.at):
            history.record("refused", challenger.number, challenger.fingerprint, **line)
        store.mark(challenger, REFUSED, line["reason"])
    _end(store)
    return {"event": "promoted" if decision.promoted else "refused"} | line


def _on() -> bool:
    return config.read("gate", config.Gate).shadow_rows is not None


def _end(store: Store) -> None:
    store.take(CHALLENGER)
    (paths.MONITORING / status.WAITING).unlink(missing_ok=True)


def _replaced(older: Version, reason: str) -> None:
    if not history.repeated("replaced", older.fingerprint, reason):
        history.record("replaced", older.number, older.fingerprint, reason)


def _folder(version: Version) -> Path:
    return paths.SHADOW / deploy.place(version).name


def _state(version: Version) -> State:
    """Its state; a version that another machine has let wait begins here today."""
    path = _folder(version) / STATE
    if not path.exists():
        now = datetime.fromisoformat(history.now())
        line = {"reason": "found as challenger in the registry"}
        files.write_json(path, msgspec.to_builtins(State(now, now, line)))
    return msgspec.json.decode(path.read_bytes(), type=State)
