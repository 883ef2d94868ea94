"""A new champion takes over a service under full load; one that is not sound does not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.project import Project

from .conftest import Lived
from .inside import copy
from .service import (
    Load,
    Running,
    bundles,
    by_scikit_learn,
    flights,
    logged,
    point,
    prepare,
    serving,
)

MEGABYTE = 1 << 20
# A model that stayed would cost 4 MB a swap. After the first swaps there is room for two models;
# what comes on top is how the allocator's pages lie (4 MB were seen in 100 swaps).
FLAT = 12 * MEGABYTE
SWAPS = [10, pytest.param(100, marks=pytest.mark.full)]


def checked(load: Load, project: Project, var: Path) -> None:
    """Nobody was refused, each answer is its version's, and the log holds each one once."""
    assert load.broken == []
    assert load.refusals == []
    expected = by_scikit_learn(project)
    wrong = [
        answer
        for answer in load.answers
        if abs(answer.probability - expected[answer.version][answer.row]) > 1e-9
    ]
    assert wrong == []
    lines, torn = logged(var)
    assert torn == 0
    by_id = {line["id"]: (line["version"], line["probability"]) for line in lines}
    assert len(by_id) == len(lines) == len(load.answers)
    assert by_id == {a.id: (a.version, a.probability) for a in load.answers}


def taken_over(load: Load, service: Running, version: int) -> None:
    """Wait until a version serves and the load's callers have been answered by it."""
    service.wait(lambda: service.serves(version))
    known = len(load.answers)
    service.wait(lambda: any(a.version == version for a in load.answers[known:]))


def test_the_two_versions_answer_differently(life: Lived) -> None:
    # Otherwise no test here could tell one from the other.
    first, second = by_scikit_learn(life.project).values()
    assert all(abs(one - other) > 1e-6 for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("swaps", SWAPS)
def test_promotions_under_load_fail_nobody_and_mix_no_answers(
    swaps: int, life: Lived, tmp_path: Path
) -> None:
    folder = prepare(life.project, tmp_path / "service", poll_seconds=0.05)
    named = bundles(folder / "var")
    with serving(life.project, folder) as service:
        began = service.figures()["model_swaps_total"]
        with Load(service.port, flights(life.project)).running() as load:
            used = []
            for number in range(swaps):
                version = 2 - number % 2
                point(service.var, named[version])
                taken_over(load, service, version)
                used.append(service.memory())
        assert service.figures()["model_swaps_total"] - began == swaps
    checked(load, life.project, folder / "var")
    assert used[-1] - used[swaps // 5] < FLAT


def manifest(bundle: Path, **changes: Any) -> None:
    path = bundle / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes), encoding="utf-8")


def flip_a_bit(bundle: Path) -> None:
    path = bundle / "arrays.npz"
    found = bytearray(path.read_bytes())
    found[len(found) // 2] ^= 1
    path.write_bytes(found)


def cut(bundle: Path, name: str) -> None:
    path = bundle / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def require_what_was_optional(bundle: Path) -> None:
    # Sound in itself, and no answer to a row of today that lacks a value.
    columns = json.loads((bundle / "bundle.json").read_text())["columns"]
    manifest(bundle, columns=[column | {"required": True} for column in columns])


def answer_otherwise(bundle: Path) -> None:
    smoke = json.loads((bundle / "bundle.json").read_text())["smoke"]
    manifest(bundle, smoke=smoke | {"answer": smoke["answer"] + 1e-6})


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "corrupt": (flip_a_bit, "does not have the checksum"),
    "half written": (lambda bundle: cut(bundle, "arrays.npz"), "does not have the checksum"),
    "manifest half written": (lambda bundle: cut(bundle, "bundle.json"), "bundle.json: Input data"),
    "no arrays yet": (lambda bundle: (bundle / "arrays.npz").unlink(), "No such file"),
    "no bundle": (shutil.rmtree, "No such file"),
    "another format": (lambda bundle: manifest(bundle, format=99), "has format 99"),
    "another schema": (require_what_was_optional, "to be missing any more"),
    "another answer": (answer_otherwise, "to its smoke row"),
}


def refused(service: Running, number: int) -> None:
    """Wait until the service has refused so many bundles."""
    service.wait(lambda: service.figures()["model_swap_failures_total"] == number)


def test_a_bundle_that_is_not_sound_is_refused_under_load(life: Lived, tmp_path: Path) -> None:
    folder = prepare(life.project, tmp_path / "service", poll_seconds=0.05)
    second = bundles(folder / "var")[2]
    with serving(life.project, folder) as service:
        with Load(service.port, flights(life.project)).running() as load:
            for number, (name, (breaking, reason)) in enumerate(BROKEN.items(), 1):
                bundle = f"broken-{number}"
                shutil.copytree(service.var / "bundles" / second, service.var / "bundles" / bundle)
                breaking(service.var / "bundles" / bundle)
                point(service.var, bundle)
                refused(service, number)
                model = service.ask("/model").json()
                assert model["version"] == 1, name
                assert reason in model["trouble"]
                assert bundle in model["trouble"]
                taken_over(load, service, 1)
                assert service.ready()
            (service.var / "bundles/champion.json").write_text('{"bundle": "v2', encoding="utf-8")
            refused(service, len(BROKEN) + 1)
            assert "champion.json is broken" in service.ask("/model").json()["trouble"]
            assert service.figures()["model_version"] == 1
            point(service.var, second)
            taken_over(load, service, 2)
        assert service.ask("/model").json()["trouble"] is None
        told = [line["message"] for line in service.log() if line["level"] == "ERROR"]
        assert len(told) == len(BROKEN) + 1
        assert all("the old one goes on" in line for line in told)
        assert service.figures()["model_swaps_total"] == 2
    assert {answer.version for answer in load.answers} == {1, 2}
    checked(load, life.project, folder / "var")


@pytest.mark.full
def test_real_promotions_and_rollbacks_reach_a_service_under_load(
    life: Lived, tmp_path: Path
) -> None:
    project = copy(life.project, tmp_path / "copy")
    folder = prepare(project, tmp_path / "service", poll_seconds=0.05)
    shutil.rmtree(project.folder / "var/predictions")
    with (
        serving(project, folder, VAR_DIR=str(project.folder / "var")) as service,
        Load(service.port, flights(life.project)).running() as load,
    ):
        for command, version in (("release", 2), ("rollback", 1)):
            project.make(command, *(["FORCE=1"] if command == "release" else []))
            taken_over(load, service, version)
    checked(load, life.project, project.folder / "var")
