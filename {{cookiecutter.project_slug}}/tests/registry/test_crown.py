from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.__package }} import files, paths
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.registry import crown, deploy, history
from {{ cookiecutter.__package }}.registry.release import release
from {{ cookiecutter.__package }}.registry.rollback import rollback
from {{ cookiecutter.__package }}.registry.store import LINE, Store

from .. import customers, project
from .test_rollback import state

STEPS: list[tuple[Any, str, int]] = [
    (Store, "mark", 1),
    (Store, "alias", 1),
    (Store, "alias", 2),
    (deploy, "point", 1),
    (history, "record", 1),
    (Store, "unmark", 1),
]


class Killed(BaseException):
    """What a process that is killed does not see."""


def dying(original: Callable[..., Any], turn: int) -> Callable[..., Any]:
    """A function that ends the process after it has been called so many times."""
    calls = []

    def watched(*arguments: Any, **named: Any) -> Any:
        found = original(*arguments, **named)
        calls.append(1)
        if len(calls) == turn:
            raise Killed
        return found

    return watched


def interrupt(owner: Any, name: str, turn: int, run: Callable[[], Any]) -> None:
    """Run until the n-th call of a function has ended."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, dying(getattr(owner, name), turn))
        with pytest.raises(Killed):
            run()


def events() -> list[tuple[str, int]]:
    return [(line["event"], line["version"]) for line in files.read_lines(paths.HISTORY)]


@pytest.mark.parametrize(("owner", "name", "turn"), STEPS)
def test_a_promotion_interrupted_anywhere_is_completed_by_the_next_release(
    owner: Any, name: str, turn: int, released: Path, store: Store
) -> None:
    project.write_params(model=customers.MODELS["hist_gradient_boosting"])
    project.run("train", "evaluate")
    # the release points at the old champion before it begins
    late = turn + (name == "point")
    interrupt(owner, name, late, release)
    assert release()
    assert state(store) == (2, 1, "v2")
    assert events() == [("promoted", 1), ("promoted", 2)]
    line = files.read_lines(paths.HISTORY)[-1]
    assert (line["rule"], line["previous"]) == ("min_gain", 1)
    assert (paths.VAR / line["report"]).exists()
    champion = store.holder("champion")
    assert champion
    assert champion.line == {}
    assert not list(paths.BUNDLES.glob(".*"))


@pytest.mark.parametrize(("owner", "name", "turn"), STEPS)
def test_a_rollback_interrupted_anywhere_is_completed_by_the_next(
    owner: Any, name: str, turn: int, replaced: Path, store: Store
) -> None:
    late = turn + (name == "point")
    interrupt(owner, name, late, rollback)
    with suppress(Refusal):  # where all was done already
        assert rollback().number == 1
    assert state(store) == (1, 2, "v1")
    assert events()[2:] == [("rolled_back", 1)]
    assert "rolled_back" in store.client.get_model_version(store.name, "2").tags
    assert not release()
    assert state(store) == (1, 2, "v1")


def test_a_champion_somebody_else_has_chosen_is_followed(replaced: Path, store: Store) -> None:
    store.alias("champion", 1)
    assert crown.complete(store)
    assert state(store) == (1, 1, "v1")
    assert files.read_lines(paths.HISTORY)[-1]["reason"] == crown.FOUND["reason"]
    lines = len(events())
    assert crown.complete(store)
    assert len(events()) == lines


def test_a_line_that_was_not_taken_away_changes_nothing(replaced: Path, store: Store) -> None:
    champion = store.holder("champion")
    assert champion
    store.mark(champion, LINE, '{"event": "promoted", "reason": "again", "previous": 2}')
    before = state(store), events()
    assert crown.complete(store)
    assert (state(store), events()) == before
