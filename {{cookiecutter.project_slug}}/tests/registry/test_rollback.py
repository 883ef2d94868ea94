from collections.abc import Callable
from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import files, paths
from {{ cookiecutter.__package }}.cli import Busy, Refusal
from {{ cookiecutter.__package }}.registry.release import release
from {{ cookiecutter.__package }}.registry.rollback import rollback
from {{ cookiecutter.__package }}.registry.store import Store
from {{ cookiecutter.__package }}.serving.bundle import ARRAYS, BadBundle
from {{ cookiecutter.__package }}.serving.champion import read_pointer

from .. import project


def state(store: Store) -> tuple[int | None, int | None, str | None]:
    """Champion, previous, and the bundle the service follows."""
    champion, previous = store.holder("champion"), store.holder("previous")
    pointer = read_pointer(paths.BUNDLES)
    return (
        champion.number if champion else None,
        previous.number if previous else None,
        pointer.bundle.partition("-")[0] if pointer else None,
    )


def test_the_previous_champion_serves_again(replaced: Path, store: Store) -> None:
    assert state(store) == (2, 1, "v2")
    assert rollback().number == 1
    assert state(store) == (1, 2, "v1")
    line = files.read_lines(paths.HISTORY)[-1]
    assert (line["event"], line["version"]) == ("rolled_back", 1)
    assert line["reason"] == "from version 2 back to version 1"


def test_the_version_left_is_marked_and_kept_out(replaced: Path, store: Store) -> None:
    rollback()
    assert "rolled_back" in store.client.get_model_version(store.name, "2").tags
    assert not release()
    assert state(store) == (1, 2, "v1")
    line = files.read_lines(paths.HISTORY)[-1]
    assert (line["event"], line["version"]) == ("refused", 2)
    assert "version 2 was rolled back on" in line["reason"]


def test_force_lets_a_version_back_in(replaced: Path, store: Store) -> None:
    rollback()
    assert release(force=True)
    assert state(store) == (2, 1, "v2")


def test_a_second_rollback_does_not_let_the_first_back_in(replaced: Path, store: Store) -> None:
    rollback()
    with pytest.raises(Refusal, match="2, was rolled back itself"):
        rollback()
    assert state(store) == (1, 2, "v1")


def test_a_version_that_serves_again_is_no_longer_marked(replaced: Path, store: Store) -> None:
    rollback()
    assert release(force=True)
    champion = store.holder("champion")
    assert champion
    assert not champion.rolled_back


def test_without_a_previous_champion_there_is_nothing_to_go_back_to(released: Path) -> None:
    before = paths.HISTORY.read_text()
    with pytest.raises(Refusal, match="no previous champion"):
        rollback()
    assert paths.HISTORY.read_text() == before


def test_a_bundle_broken_everywhere_is_not_gone_back_to(
    replaced: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.bundle(1) / ARRAYS).write_bytes(b"")
    monkeypatch.setattr(Store, "fetch_bundle", lambda self, version, folder: folder.mkdir())
    with pytest.raises((Refusal, BadBundle)):
        rollback()
    assert state(store) == (2, 1, "v2")
    assert "rolled_back" not in store.client.get_model_version(store.name, "2").tags


def test_it_waits_for_no_release(replaced: Path, elsewhere: Callable[[str], None]) -> None:
    elsewhere("release")
    with pytest.raises(Busy):
        rollback()
