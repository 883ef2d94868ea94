"""Letting a version reign: one move of the alias `champion` decides, and the rest follows from it.

Until it is in the history, the line for it lies with the version, as a tag. From there the rest is
completed, whatever was interrupted: the alias `previous`, the mark of a version rolled back, the
bundle that serves, the history.
"""

from typing import Any

import msgspec

from ..serving import bundle
from . import deploy, history
from .store import CHAMPION, LINE, PREVIOUS, REFUSED, ROLLED_BACK, Store, Version

FOUND: dict[str, Any] = {"event": "promoted", "reason": "found as champion in the registry"}


def crown(
    store: Store, version: Version, old: Version | None, event: str, reason: str, **more: Any
) -> None:
    """Make a version champion in place of the `old` one; `event` and `reason` are the history's."""
    line = {"event": event, "reason": reason, "previous": old.number if old else None, **more}
    store.mark(version, LINE, msgspec.json.encode(line).decode())
    store.alias(CHAMPION, version.number)
    complete(store)


def complete(store: Store) -> Version | None:
    """Bring everything in line with the alias `champion`; returns its version, as it was found."""
    champion = store.holder(CHAMPION)
    if champion is None:
        return None
    known = history.champion() == champion.fingerprint
    line = dict(champion.line or FOUND)
    if not known:
        if previous := line.get("previous"):
            store.alias(PREVIOUS, previous)
            if line["event"] == "rolled_back":
                store.mark(previous, ROLLED_BACK, history.now())
        for tag, value in ((ROLLED_BACK, champion.rolled_back), (REFUSED, champion.refused)):
            if value:
                store.unmark(champion, tag)
    try:
        deploy.point(store, champion)  # also on a machine that has not served it before
    except bundle.OtherFormat as other:  # the code has been updated since
        print(f"the champion cannot be served any more: {other}")
    if not known:
        event, reason = line.pop("event"), line.pop("reason")
        history.record(event, champion.number, champion.fingerprint, reason, **line)
    if champion.line:
        store.unmark(champion, LINE)
    return champion
