"""A new champion takes over while the service runs; a broken one does not."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }} import paths
from {{ cookiecutter.__package }}.registry.rollback import rollback
from {{ cookiecutter.__package }}.serving.app import create_app
from {{ cookiecutter.__package }}.serving.bundle import ARRAYS
from {{ cookiecutter.__package }}.serving.champion import POINTER

from .. import customers, project
from .conftest import LIMITS


@pytest.fixture
def client(replaced: Path) -> Iterator[TestClient]:
    """The service of a project whose champion is version 2."""
    with TestClient(create_app(paths.VAR, LIMITS)) as started:
        yield started


def asked_until(client: TestClient, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What /model says once it is enough; each question gives the service time to look."""
    end = time.monotonic() + 10
    while not enough(found := client.get("/model").json()):
        assert time.monotonic() < end, found
    return dict(found)


def test_a_rollback_reaches_the_running_service(client: TestClient) -> None:
    before = client.post("/predict", json=customers.request()).json()
    rollback()
    asked_until(client, lambda model: model["version"] == 1)
    after = client.post("/predict", json=customers.request()).json()
    assert (before["version"], after["version"]) == (2, 1)
    assert before["predictions"][0]["probability"] != after["predictions"][0]["probability"]


def test_a_broken_champion_leaves_the_old_one_answering(client: TestClient) -> None:
    broken = project.bundle(1)
    (broken / ARRAYS).write_bytes(b"broken")
    pointer = paths.BUNDLES / POINTER
    pointer.write_text(pointer.read_text().replace(project.bundle(2).name, broken.name))
    model = asked_until(client, lambda model: model["trouble"])
    assert model["version"] == 2
    assert f"{broken.name}/{ARRAYS} does not have the checksum" in model["trouble"]
    assert client.get("/health/ready").status_code == 200
    assert client.post("/predict", json=customers.request()).json()["version"] == 2


def test_the_first_champion_makes_a_waiting_service_ready(replaced: Path) -> None:
    aside = (paths.BUNDLES / POINTER).rename(paths.VAR / POINTER)
    with TestClient(create_app(paths.VAR, LIMITS)) as client:
        assert client.get("/health/ready").status_code == 503
        aside.rename(paths.BUNDLES / POINTER)
        asked_until(client, lambda model: model.get("version") == 2)
        assert client.get("/health/ready").status_code == 200
