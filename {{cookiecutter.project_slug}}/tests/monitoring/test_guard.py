"""The automatic way back: version 2 is champion, version 1 the one before."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from {{ cookiecutter.__package }} import files, paths
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.monitoring import drift
from {{ cookiecutter.__package }}.monitoring.drift import watch
from {{ cookiecutter.__package }}.monitoring.guard import Guarded, guard, react
from {{ cookiecutter.__package }}.monitoring.summary import CODES, Status, Summary
from {{ cookiecutter.__package }}.registry import history
from {{ cookiecutter.__package }}.registry.rollback import rollback
from {{ cookiecutter.__package }}.registry.store import Store
from {{ cookiecutter.__package }}.serving.bundle import Model
from {{ cookiecutter.__package }}.serving.champion import read_pointer
from {{ cookiecutter.__package }}.serving.schema import Schema

from .. import customers, project
from ..test_triggers import seen
from . import traffic

MONTH = "2024-04"
Floats = Any


def answered(change: Callable[[Floats], Floats], days_ago: float = 0, version: int = 2) -> None:
    """Log what the champion has told of a month's rows, as changed."""
    champion = traffic.model()
    rows = [customers.request(n, MONTH) for n in range(customers.ROWS)]
    decoded = [champion.schema.decode(json.dumps(row).encode()) for row in rows]
    told = change(np.array(champion.predict(decoded)[0]))
    traffic.write(
        *(
            traffic.line(row, float(p), days_ago, version, name=f"{MONTH}-{n}")
            for n, (row, p) in enumerate(zip(rows, told, strict=True))
        )
    )


def turned(told: Floats) -> Floats:
    """The answers of a model that has become useless."""
    return np.clip(1 - told, 0.01, 0.99)


def degraded(version: int = 2) -> Summary:
    return msgspec.structs.replace(seen("degraded", customers.ROWS), version=version)


def serves() -> int:
    return traffic.model().manifest.version


def promoted(days_ago: float) -> None:
    """Date back the history and what the service follows."""
    at = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat(timespec="seconds")
    lines = [line | {"at": at} for line in files.read_lines(paths.HISTORY)]
    files.write_text(paths.HISTORY, "".join(json.dumps(line) + "\n" for line in lines))


def test_a_new_champion_that_fails_gives_way_to_the_one_before(
    replaced: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(turned)
    found = guard(degraded())
    assert found
    assert (found.version, serves()) == (1, 1)
    assert found.reason.startswith("log_loss of version 1 is 0.")
    labelled = customers.frame(MONTH)["churned"].notna().sum()
    assert f"on the same {labelled} labelled answers: gain +" in found.reason
    line = files.read_lines(paths.HISTORY)[-1]
    assert (line["event"], line["version"]) == ("rolled_back", 1)
    assert line["reason"] == (
        f"from version 2 back to version 1, automatically: it is degraded, and {found.reason}"
    )
    champion, previous = store.holder("champion"), store.holder("previous")
    assert champion
    assert previous
    assert (champion.number, previous.number) == (1, 2)
    assert previous.rolled_back
    history.main()
    said = capsys.readouterr().out.splitlines()[-1]
    assert "rolled_back  v1        from version 2 back to version 1, automatically: " in said


def test_both_are_scored_on_the_very_same_answers(replaced: Path) -> None:
    answered(turned)
    old = Model(project.bundle(1))
    asked = list(customers.PARAMS["data"]["columns"])
    rows = customers.frame(MONTH).dropna(subset="churned").astype({"region": str})
    labels = rows["churned"].to_numpy()
    table = rows[asked].astype(object).where(rows[asked].notna(), None)
    told = old.predict_columns({name: table[name].tolist() for name in asked})
    loss = -np.log(np.where(labels == 1, told, 1 - told)).mean()
    found = guard(degraded())
    assert found
    assert found.reason.startswith(f"log_loss of version 1 is {loss:.4g}, against ")


def test_a_rollback_that_does_not_help_is_none(replaced: Path) -> None:
    # worse than at its release, and still better than the one before
    project.write_params(monitoring__max_loss=0.0)
    answered(lambda told: told * 0.5 + 0.25)
    found = guard(degraded())
    assert found
    assert (found.version, serves()) == (None, 2)
    assert found.reason.startswith("log_loss of version 1 is 0.")
    assert found.reason.endswith("that is no better than chance may be")


def test_answers_as_good_as_at_release_are_no_reason(replaced: Path) -> None:
    answered(lambda told: told)
    assert guard(degraded()) == Guarded(
        None, "it is not degraded by its answers since the promotion alone"
    )


@pytest.mark.parametrize(("days", "acts"), [(13.9, True), (14.1, False)])
def test_only_a_promotion_of_the_last_days_is_guarded(
    days: float, acts: bool, replaced: Path
) -> None:
    answered(turned)
    promoted(days)
    assert (guard(degraded()) is not None) == acts
    assert serves() == (1 if acts else 2)


def test_the_guard_can_be_turned_off(replaced: Path) -> None:
    answered(turned)
    project.write_params(monitoring__rollback_days=None)
    assert guard(degraded()) is None
    params = files.read_json(paths.PARAMS)
    del params["monitoring"]["rollback_days"]  # a project from before it
    files.write_json(paths.PARAMS, params)
    assert guard(degraded()) is None
    assert serves() == 2


@pytest.mark.parametrize("status", ["ok", "drift", "insufficient_data", "schema_error"])
def test_only_a_degraded_champion_is_left(status: Status, replaced: Path) -> None:
    answered(turned)
    assert guard(msgspec.structs.replace(degraded(), status=status)) is None
    assert serves() == 2


def test_a_first_champion_has_nothing_to_go_back_to(released: Path) -> None:
    answered(turned, version=1)
    found = guard(degraded(1))
    assert found == Guarded(None, "there is no previous champion that may serve")


def test_what_was_rolled_back_does_not_come_back(replaced: Path) -> None:
    rollback()
    answered(turned, version=1)
    promoted(1)
    assert guard(degraded(1)) == Guarded(None, "there is no previous champion that may serve")
    assert serves() == 1


def test_answers_from_before_the_promotion_do_not_count(replaced: Path) -> None:
    answered(turned, days_ago=3)
    promoted(2)
    found = guard(degraded())
    assert found
    assert found.reason.startswith("labels of 0 answers since the promotion have arrived, 100 ")
    promoted(4)
    assert guard(degraded())
    assert serves() == 1


def test_rows_that_the_one_before_cannot_answer_are_said(replaced: Path) -> None:
    answered(turned)
    (log,) = paths.PREDICTIONS.iterdir()
    log.write_text(log.read_text().replace('"visits.monthly": 4', '"visits.monthly": "four"'))
    found = guard(degraded())
    assert found
    assert found.version is None
    assert "version 1 cannot be scored on the rows of the log: column `visits" in found.reason


def test_one_that_takes_other_columns_is_not_gone_back_to(
    replaced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(turned)
    monkeypatch.setattr(Schema, "broken_by", lambda *_: "needs colour")
    found = guard(degraded())
    assert found == Guarded(None, "version 1 needs colour, so the requests of today would fail")


def test_a_release_at_the_same_time_comes_first(
    replaced: Path, elsewhere: Callable[[str], None]
) -> None:
    answered(turned)
    elsewhere("release")
    found = guard(degraded())
    assert found
    assert "another process holds the lock release" in found.reason
    assert serves() == 2


def test_who_has_become_champion_meanwhile_stays(replaced: Path) -> None:
    with pytest.raises(Refusal, match="version 2 has become champion meanwhile"):
        rollback(leaving=3)
    assert serves() == 2


def test_the_hook_is_told_of_the_fault_and_of_the_way_back(replaced: Path) -> None:
    answered(turned)
    hook = {"command": "cat >>told", "events": ["degraded", "rolled_back"], "timeout_seconds": 9}
    project.write_params(alerts=hook)
    found, troubles = react(degraded())
    assert found
    assert troubles == []
    first, second = files.read_lines(Path("told"))
    assert (first["event"], first["version"]) == ("degraded", 2)
    assert (second["event"], second["version"]) == ("rolled_back", 1)
    assert second["details"]["event"] == "rolled_back"
    assert second["reason"].endswith(found.reason)


def test_the_daily_look_goes_back_and_says_so(
    replaced: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(turned)
    monkeypatch.setattr(drift, "draw", lambda *_: "")
    monkeypatch.setattr(sys, "argv", ["drift", "--exit-code"])
    assert drift.main() == CODES["degraded"]
    said = capsys.readouterr().out
    assert "rolled back: version 1 is champion again: log_loss of version 1 is 0." in said
    assert serves() == 1
    pointer = read_pointer(paths.BUNDLES)
    assert pointer
    assert pointer.bundle.startswith("v1-")
    assert watch().version == 1
