"""What starts a retraining and what holds one back, decided without any side effect."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from .config import Retrain

if TYPE_CHECKING:
    from .monitoring.summary import Summary

WAITS = ("waiting", "held_back")  # outcomes that leave what is new to a later run
RAN = ("promoted", "refused", "proposed")  # outcomes of a run that has trained
WEEK = timedelta(days=7)


class Decision(msgspec.Struct, frozen=True):
    """What a run does next, the reasons for it, and in one sentence why it does not retrain.

    `nothing_to_do` when nothing is new, `waiting` when something is and no trigger has fired,
    `held_back` when one has, too soon.
    """

    step: Literal["retrain", "nothing_to_do", "waiting", "held_back"]
    reasons: list[str]
    why_not: str = ""


def decide(
    settings: Retrain,
    news: str,
    alarm: str,
    force: bool,
    journal: Sequence[dict[str, Any]],
    now: datetime,
) -> Decision:
    """Whether to retrain.

    `news` tells what there is to learn from that the last model has not seen, `alarm` what the
    monitor saw (see `alarm_of`); both are empty when there is none. `journal` holds the runs
    before that the limits count: none for a run that no limit holds for.
    """
    asked = ["asked for by hand"] if force else []
    if "schedule" in settings.triggers:
        asked.append("due by the schedule")
    alarms = [alarm] if alarm else []
    reasons = [*([news] if news else []), *asked, *alarms]
    if not news and not asked:
        why_not = "nothing new to learn from"
        if alarm:
            why_not += "; the same data, configuration and code give the same model"
        return Decision("nothing_to_do", reasons, why_not)
    if not asked and not alarms and "new_data" not in settings.triggers:
        known = ", ".join(settings.triggers) or "none is set"
        return Decision("waiting", reasons, f"{news}; that waits for a trigger ({known})")
    if not force and (until := limited(settings, journal, now)):
        return Decision("held_back", reasons, until)
    return Decision("retrain", reasons)


def alarm_of(settings: Retrain, seen: "Summary | None", min_rows: int) -> str:
    """What the monitor saw, when it is a trigger; empty when it is none.

    `min_rows` is the number of labelled answers from which on performance can be told.
    """
    if seen is None or seen.status not in ("drift", "degraded"):
        return ""
    blind = seen.status == "drift" and seen.labelled_rows < min_rows
    if seen.status not in settings.triggers or (blind and settings.drift_without_labels == "alert"):
        return ""
    return f"{seen.status}: {seen.reason}"


def limited(settings: Retrain, journal: Sequence[dict[str, Any]], now: datetime) -> str:
    """Until when a retraining has to wait and why, as a sentence; empty when it may run now."""
    ended = [datetime.fromisoformat(line["ended"]) for line in journal if trained(line)]
    past = sorted(at for at in ended if at <= now)  # a clock set back must not stop us for long
    holds: list[tuple[datetime, str]] = []
    if past:
        free = past[-1] + timedelta(hours=settings.cooldown_hours)
        holds.append((free, f"cooldown_hours is {settings.cooldown_hours:g}"))
    if settings.max_per_week and len(past) >= settings.max_per_week:
        oldest = past[-settings.max_per_week]
        holds.append((oldest + WEEK, f"max_per_week is {settings.max_per_week}"))
    free, why = max(holds, default=(now, ""))
    if free <= now:
        return ""
    return (
        f"not before {free.isoformat(timespec='seconds')}: the last retraining ended at "
        f"{past[-1].isoformat(timespec='seconds')} and {why}; the first run after that learns "
        "from what waits, `make retrain FORCE=1` does at once"
    )


def trained(entry: dict[str, Any]) -> bool:
    """Whether a run of the journal has begun to train, however it has ended."""
    return entry.get("outcome") in RAN or bool(entry.get("training"))
