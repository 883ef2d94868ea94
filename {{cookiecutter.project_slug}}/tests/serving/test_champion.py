import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from {{ cookiecutter.__package }} import files, paths
from {{ cookiecutter.__package }}.registry import deploy
from {{ cookiecutter.__package }}.serving.bundle import ARRAYS, MANIFEST, Manifest
from {{ cookiecutter.__package }}.serving.champion import POINTER, Champion

from .. import customers, project
from .figures import counted, figure


def point(name: str, since: str = "2024-01-01T00:00:00+00:00") -> None:
    files.write_json(paths.BUNDLES / POINTER, {"bundle": name, "since": since})


def version(champion: Champion) -> int | None:
    return champion.model.manifest.version if champion.model else None


@pytest.fixture
def champion(replaced: Path) -> Champion:
    """What follows the pointer, with version 1 in service."""
    point(project.bundle(1).name)
    found = Champion(paths.BUNDLES)
    found.refresh()
    assert (version(found), found.trouble) == (1, "")
    return found


def test_before_the_first_release_there_is_no_model(tmp_path: Path) -> None:
    champion = Champion(tmp_path)
    champion.refresh()
    assert (champion.model, champion.trouble) == (None, "no champion yet: run `make release`")


def test_a_moved_pointer_is_followed(champion: Champion) -> None:
    point(project.bundle(2).name, "2024-02-02T00:00:00+00:00")
    champion.refresh()
    assert (version(champion), champion.since) == (2, "2024-02-02T00:00:00+00:00")


def test_a_pointer_that_stays_loads_nothing(champion: Champion) -> None:
    before = champion.model
    champion.refresh()
    assert champion.model is before


def test_the_model_in_service_needs_its_files_no_more(champion: Champion) -> None:
    shutil.rmtree(project.bundle(1))
    assert champion.model
    row = champion.model.schema.decode(json.dumps(customers.request()).encode())
    answer, _ = champion.model.one(row)
    assert isinstance(answer, float)
    assert 0 < answer < 1
    assert champion.model.explain(row).contributions


def test_a_broken_bundle_leaves_the_old_one_serving_and_says_so(champion: Champion) -> None:
    broken = project.bundle(2)
    content = (broken / ARRAYS).read_bytes()
    (broken / ARRAYS).write_bytes(b"broken")
    point(broken.name)
    champion.refresh()
    assert version(champion) == 1
    assert "the old one goes on" in champion.trouble
    assert f"{broken.name}/{ARRAYS} does not have the checksum" in champion.trouble
    # mended, and promoted once more
    (broken / ARRAYS).write_bytes(content)
    point(broken.name, "2024-03-03T00:00:00+00:00")
    champion.refresh()
    assert (version(champion), champion.trouble) == (2, "")


@pytest.mark.parametrize("text", ["", "[]", '{"bundle": 1}', '{"bundle": "gone", "since": ""}'])
def test_a_broken_pointer_leaves_the_old_one_serving(text: str, champion: Champion) -> None:
    (paths.BUNDLES / POINTER).write_text(text)
    champion.refresh()
    assert version(champion) == 1
    assert champion.trouble


def test_a_pointer_that_comes_back_is_no_trouble(champion: Champion) -> None:
    pointer = paths.BUNDLES / POINTER
    before = pointer.read_text()
    pointer.write_text("{")
    champion.refresh()
    assert champion.trouble
    pointer.write_text(before)
    champion.refresh()
    assert (version(champion), champion.trouble) == (1, "")


def test_a_pointer_that_is_removed_leaves_the_old_one_serving(champion: Champion) -> None:
    (paths.BUNDLES / POINTER).unlink()
    champion.refresh()
    assert (version(champion), champion.trouble) == (1, "")


def test_models_taken_and_bundles_refused_are_counted_once(
    champion: Champion, caplog: pytest.LogCaptureFixture
) -> None:
    swaps, failures = counted("model_swaps_total"), counted("model_swap_failures_total")
    (project.bundle(2) / ARRAYS).write_bytes(b"broken")
    point(project.bundle(2).name)
    for _ in range(3):
        champion.refresh()
    assert (swaps(), failures()) == (0, 1)
    assert figure("model_version") == 1
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    point("another")
    champion.refresh()
    point(project.bundle(1).name, "2024-03-03T00:00:00+00:00")
    for _ in range(3):
        champion.refresh()
    assert (swaps(), failures()) == (1, 2)


def changed(folder: Path, **changes: Any) -> None:
    """Rewrite some of a manifest."""
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    deploy.write_manifest(folder, msgspec.structs.replace(manifest, **changes))


def test_a_model_that_breaks_the_requests_of_today_is_refused_until_a_restart(
    champion: Champion,
) -> None:
    assert champion.model
    columns = champion.model.manifest.columns
    stricter = [msgspec.structs.replace(column, required=True) for column in columns]
    changed(project.bundle(2), columns=stricter)
    point(project.bundle(2).name)
    champion.refresh()
    assert version(champion) == 1
    assert "does not allow friend's plan to be missing any more" in champion.trouble
    assert "restart the service" in champion.trouble
    restarted = Champion(paths.BUNDLES)
    restarted.refresh()
    assert (version(restarted), restarted.trouble) == (2, "")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 99}, "has format 99"),
        ({"created": "yesterday"}, "yesterday"),
        ({"form": "another"}, "another"),
    ],
)
def test_a_manifest_that_this_code_cannot_read_leaves_the_old_one_serving(
    changes: dict[str, Any], said: str, champion: Champion
) -> None:
    changed(project.bundle(2), **changes)
    point(project.bundle(2).name)
    champion.refresh()
    assert version(champion) == 1
    assert said in champion.trouble
