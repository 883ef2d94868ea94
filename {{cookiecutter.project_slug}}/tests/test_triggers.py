from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.monitoring.summary import Status, Summary
from {{ cookiecutter.__package }}.triggers import Decision, alarm_of, decide, limited

from . import customers

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
NEWS, DRIFT = "new data: 2024-05", "drift: all has moved"
Journal = list[dict[str, Any]]


def settings(**changes: Any) -> config.Retrain:
    return config.check(customers.PARAMS["retrain"] | changes, config.Retrain, "conf/retrain/")


def decided(
    *triggers: str,
    news: str = "",
    alarm: str = "",
    force: bool = False,
    journal: Journal | None = None,
    **changes: Any,
) -> Decision:
    found = settings(triggers=list(triggers), **changes)
    return decide(found, news, alarm, force, journal or [], NOW)


def ran(hours_ago: float, outcome: str = "promoted", **more: Any) -> dict[str, Any]:
    ended = (NOW - timedelta(hours=hours_ago)).isoformat(timespec="seconds")
    return {"ended": ended, "outcome": outcome, **more}


def seen(status: Status, labelled_rows: int = 0) -> Summary:
    return Summary(
        at=NOW.isoformat(),
        version=1,
        status=status,
        reason="all has moved",
        rows=500,
        torn_lines=0,
        drift={},
        broken={},
        repeated=0,
        labelled_rows=labelled_rows,
        performance={},
        intervals=[],
        reference_performance={},
        report="",
        quality_report="",
    )


def test_each_trigger_starts_a_retraining_alone() -> None:
    assert decided("new_data", news=NEWS) == Decision("retrain", [NEWS])
    assert decided("drift", news=NEWS, alarm=DRIFT) == Decision("retrain", [NEWS, DRIFT])
    assert decided("schedule") == Decision("retrain", ["due by the schedule"])
    assert decided("by_hand", force=True) == Decision("retrain", ["asked for by hand"])


def test_without_news_an_alarm_gives_the_same_model_and_that_is_said() -> None:
    found = decided("new_data", "drift", alarm=DRIFT)
    assert (found.step, found.reasons) == ("nothing_to_do", [DRIFT])
    assert "the same data, configuration and code give the same model" in found.why_not
    assert decided("new_data").why_not == "nothing new to learn from"


@pytest.mark.parametrize("triggers", [[], ["drift", "by_hand"]])
def test_news_wait_for_a_trigger_when_they_are_none(triggers: list[str]) -> None:
    found = decided(*triggers, news=NEWS)
    assert (found.step, found.reasons) == ("waiting", [NEWS])
    assert found.why_not.startswith(f"{NEWS}; that waits for a trigger")
    assert decided(*triggers).step == "nothing_to_do"


@pytest.mark.parametrize("asked", [{"force": True}, {"alarm": DRIFT}])
def test_what_waited_is_learnt_from_when_another_trigger_fires(asked: dict[str, Any]) -> None:
    found = decided("drift", "by_hand", news=NEWS, **asked)
    assert found.step == "retrain"
    assert found.reasons[0] == NEWS


@pytest.mark.parametrize("status", ["drift", "degraded"])
def test_the_monitor_is_a_trigger_only_when_it_is_in_the_list(status: Status) -> None:
    alarm = f"{status}: all has moved"
    assert alarm_of(settings(triggers=[status]), seen(status), 200) == alarm
    others = [one for one in ("drift", "degraded", "new_data", "by_hand") if one != status]
    assert alarm_of(settings(triggers=others), seen(status), 200) == ""


def test_other_statuses_and_no_champion_are_no_alarm() -> None:
    others: tuple[Status, ...] = ("ok", "insufficient_data", "schema_error")
    assert {alarm_of(settings(), seen(status), 200) for status in others} == {""}
    assert alarm_of(settings(), None, 200) == ""


@pytest.mark.parametrize(("rows", "fires"), [(0, False), (199, False), (200, True)])
def test_drift_without_labels_may_be_an_alert_only(rows: int, fires: bool) -> None:
    alert = settings(drift_without_labels="alert")
    assert bool(alarm_of(alert, seen("drift", rows), 200)) == fires
    assert alarm_of(alert, seen("degraded", rows), 200)
    assert alarm_of(settings(drift_without_labels="retrain"), seen("drift", rows), 200)


@pytest.mark.parametrize(
    "last",
    [
        ran(0.9),
        ran(0.9, "refused"),
        ran(0.9, "proposed"),
        ran(0.9, "failed", training=True),
        ran(0),
    ],
)
def test_after_a_retraining_the_next_has_to_cool_down(last: dict[str, Any]) -> None:
    found = decided("new_data", news=NEWS, journal=[ran(50), last, ran(0.1, "nothing_to_do")])
    assert (found.step, found.reasons) == ("held_back", [NEWS])
    until = datetime.fromisoformat(last["ended"]) + timedelta(hours=1)
    assert found.why_not.startswith(f"not before {until.isoformat(timespec='seconds')}: ")
    assert "cooldown_hours is 1" in found.why_not
    assert "`make retrain FORCE=1`" in found.why_not


@pytest.mark.parametrize(
    "last",
    [
        ran(1),
        ran(0.5, "failed"),
        ran(0.5, "nothing_to_do"),
        ran(0.5, "held_back"),
        ran(0.5, "waiting"),
        ran(-5),  # the clock was ahead
    ],
)
def test_what_has_not_trained_or_is_long_ago_holds_nothing_back(last: dict[str, Any]) -> None:
    assert decided("new_data", news=NEWS, journal=[last]).step == "retrain"


def test_so_many_a_week_and_no_more() -> None:
    journal = [ran(167), ran(100), ran(2)]
    until = limited(settings(), journal, NOW)
    assert "max_per_week is 3" in until
    assert until.startswith(f"not before {(NOW + timedelta(hours=1)).isoformat()}")
    assert limited(settings(), [ran(168), *journal[1:]], NOW) == ""
    assert limited(settings(max_per_week=None), journal, NOW) == ""
    # five in the last week: two have to leave it first
    many = [ran(160), ran(150), ran(140), ran(3), ran(2)]
    until = (NOW + timedelta(hours=168 - 140)).isoformat()
    assert limited(settings(), many, NOW).startswith(f"not before {until}")


def test_limits_that_are_off_hold_nothing_back() -> None:
    off = settings(cooldown_hours=0, max_per_week=None)
    assert limited(off, [ran(0)] * 50, NOW) == ""


def test_what_is_asked_for_by_hand_is_never_held_back() -> None:
    journal = [ran(0.1)] * 9
    assert decided("by_hand", force=True, journal=journal).step == "retrain"
    assert decided("schedule", journal=journal).step == "held_back"


def test_limits_are_no_reason_when_there_is_nothing_to_do() -> None:
    assert decided("new_data", journal=[ran(0.1)]).step == "nothing_to_do"
    assert decided("drift", news=NEWS, journal=[ran(0.1)]).step == "waiting"


def test_an_unknown_trigger_is_refused_by_name() -> None:
    with pytest.raises(Refusal, match="weekly"):
        settings(triggers=["weekly"])
