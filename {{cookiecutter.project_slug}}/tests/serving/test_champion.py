import asyncio
import json
import shutil
from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import files, paths
from {{ cookiecutter.__package }}.serving.bundle import ARRAYS
from {{ cookiecutter.__package }}.serving.champion import POINTER, Champion

from .. import customers, project


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
    (row,) = champion.model.schema.decode(json.dumps(customers.request()).encode())
    assert 0 < champion.model.predict([row])[0] < 1


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


def test_watching_follows_the_pointer(champion: Champion) -> None:
    async def watched() -> None:
        task = asyncio.create_task(champion.watch(0.001))
        point(project.bundle(2).name)
        while version(champion) != 2:
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(asyncio.wait_for(watched(), 10))
