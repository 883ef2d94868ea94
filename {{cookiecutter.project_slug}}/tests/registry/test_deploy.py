import shutil
from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import files, paths
from {{ cookiecutter.__package }}.registry import deploy, history
from {{ cookiecutter.__package }}.registry.store import Store, Version
from {{ cookiecutter.__package }}.serving import bundle
from {{ cookiecutter.__package }}.serving.champion import read_pointer

from .. import project


def holder(store: Store, alias: str) -> Version:
    found = store.holder(alias)
    assert found
    return found


def test_a_deleted_bundle_is_fetched_from_the_registry(released: Path, store: Store) -> None:
    place = project.bundle(1)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    shutil.rmtree(place)
    deploy.point(store, holder(store, "champion"))
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert bundle.Model(place).manifest.version == 1
    assert not list(paths.BUNDLES.glob(".*"))


def test_pointing_at_what_serves_already_changes_nothing(released: Path, store: Store) -> None:
    before = read_pointer(paths.BUNDLES)
    deploy.point(store, holder(store, "champion"))
    assert read_pointer(paths.BUNDLES) == before


def test_a_bundle_that_is_broken_everywhere_is_not_pointed_at(
    replaced: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.bundle(1) / bundle.ARRAYS).write_bytes(b"broken")
    monkeypatch.setattr(store, "fetch_bundle", lambda version, folder: folder.mkdir())
    with pytest.raises(bundle.BadBundle, match=r"bundle\.json"):
        deploy.point(store, holder(store, "previous"))
    pointer = read_pointer(paths.BUNDLES)
    assert pointer
    assert pointer.bundle == project.bundle(2).name


def test_a_bundle_damaged_here_is_fetched_again(replaced: Path, store: Store) -> None:
    (project.bundle(1) / bundle.ARRAYS).write_bytes(b"broken")
    deploy.point(store, holder(store, "previous"))
    pointer = read_pointer(paths.BUNDLES)
    assert pointer
    assert pointer.bundle == project.bundle(1).name
    assert bundle.Model(project.bundle(1)).manifest.version == 1


def test_a_broken_pointer_is_written_anew(released: Path, store: Store) -> None:
    (paths.BUNDLES / "champion.json").write_text("{")
    deploy.point(store, holder(store, "champion"))
    pointer = read_pointer(paths.BUNDLES)
    assert pointer
    assert pointer.bundle == project.bundle(1).name


def test_a_bundle_in_its_place_is_never_written_over(released: Path, store: Store) -> None:
    aside = paths.BUNDLES / ".aside"
    aside.mkdir()
    (aside / "new").touch()
    assert deploy.settle(aside, holder(store, "champion")) == project.bundle(1)
    assert not aside.exists()
    assert not (project.bundle(1) / "new").exists()


def test_the_history_tells_who_was_champion_and_why(
    replaced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history.main()
    first, second = capsys.readouterr().out.splitlines()
    assert "promoted" in first and "v1" in first and "first model" in first
    assert "promoted" in second and "v2" in second and "against the champion's" in second
    assert all(line["by"] for line in files.read_lines(paths.HISTORY))


def test_an_empty_history_says_how_it_begins(
    empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history.main()
    assert "make release" in capsys.readouterr().out
