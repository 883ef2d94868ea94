"""Retrainings killed anywhere: what served goes on serving, and the next run finishes the work."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .chaos import World, as_it_must_be, journal, leftovers, small, world
from .conftest import Lived

KILLS = 100
PER_CASE = 10

Place = dict[str, Any]


def at(where: str, when: str = "before", turn: int = 1) -> Place:
    return {"where": where, "when": when, "turn": turn}


ALIAS = "mlflow:MlflowClient.set_registered_model_alias"
RETRAIN, STORE = "PACKAGE.retrain", "PACKAGE.registry.store:Store"
TRACKING, DEPLOY = "PACKAGE.registry.tracking", "PACKAGE.registry.deploy"
STAGES = ("compose", "ingest", "validate", "split", "train", "evaluate")
PLACES: dict[str, Place] = {
    "before anything": at("PACKAGE.interrupted:note", "after"),
    "while the list of partitions is written": at("pathlib:Path.replace", turn=2),
    "after the arrival": at("PACKAGE.arrive:arrive", "after"),
    **{f"before {stage}": at(f"PACKAGE.pipeline.{stage}:main") for stage in STAGES},
    **{f"after {stage}": at(f"PACKAGE.pipeline.{stage}:main", "after") for stage in STAGES},
    "while dvc.lock is written": at("dvc.utils.serialize._yaml:_dump"),
    "while DVC's table of locks is written": at("json:dump"),
    "before dvc push": at("PACKAGE.retrain:dvc", turn=4),
    "between dvc push and git commit": at("PACKAGE.retrain:dvc", "after", 4),
    "between git add and git commit": at("PACKAGE.retrain:_git", "after", 1),
    "within git commit": {"hook": "pre-commit"},
    "while git moves the branch": {"hook": "reference-transaction"},
    "after git commit": at("PACKAGE.retrain:release"),
    "while the bundle is built": at("PACKAGE.registry.release:compare"),
    "while the run is logged": at(f"{TRACKING}:draw"),
    "after the run is logged": at(f"{TRACKING}:track", "after"),
    "while the model is logged": at("mlflow.sklearn:save_model"),
    "between logging and registering the model": at(f"{STORE}.register"),
    "after registering the model": at(f"{STORE}.register", "after"),
    "before the bundle is settled": at(f"{DEPLOY}:settle"),
    "after the bundle is settled": at(f"{DEPLOY}:settle", "after"),
    "while the bundle is exported": at("shutil:copy2", turn=4),
    "after the bundle is exported": at(f"{TRACKING}:log_folder", "after"),
    "after the verdict is written": at(f"{TRACKING}:log_file", "after"),
    "before the first alias moves": at(ALIAS),
    "between the two alias moves": at(ALIAS, "after"),
    "after both alias moves": at(ALIAS, "after", 2),
    "before the pointer moves": at(f"{DEPLOY}:point", turn=2),
    "after the pointer has moved": at(f"{DEPLOY}:point", "after", 2),
    "after the history is written": at("PACKAGE.registry.history:record", "after"),
    "before the journal is written": at(f"{RETRAIN}:_write"),
    "after the journal is written": at("PACKAGE.interrupted:done"),
}
FEW = (
    "while DVC's table of locks is written",
    "before train",
    "while the model is logged",
    "between the two alias moves",
)


@pytest.fixture(scope="module")
def chaos(
    template: Path, life: Lived, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A small project with its service, after an undisturbed run has shown how long one takes."""
    folder = tmp_path_factory.mktemp("chaos")
    project = small(template, folder, life.project.folder / ".venv")
    with world(project, folder) as found:
        began = time.perf_counter()
        assert found.run(folder / "undisturbed.log") == 0, (folder / "undisturbed.log").read_text()
        found.seconds = time.perf_counter() - began
        as_it_must_be(found)
        assert [outcome for outcome, _ in journal(found)] == ["promoted"]
        yield found


def finished(chaos: World, said: Path) -> None:
    """After a kill: the champion serves, and the next run finishes what was begun."""
    chaos.serves_as_ever()
    step, before = chaos.step(), journal(chaos)
    assert chaos.run(said) == 0, said.read_text()
    outcomes = [outcome for outcome, _ in journal(chaos)[len(before) :]]
    if step and not before:
        assert outcomes[0] == "interrupted", outcomes
        del outcomes[0]
    assert len(outcomes) == 1
    assert outcomes[0] in ("promoted", "nothing_to_do")
    begun = [started for _, started in journal(chaos)]
    assert len(set(begun)) == len(begun)
    as_it_must_be(chaos)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.full) for name in PLACES]
)
def test_a_run_killed_at_an_exact_place_is_finished_by_the_next(
    name: str, chaos: World, tmp_path: Path
) -> None:
    chaos.restore()
    said, place = tmp_path / "said.log", PLACES[name]
    if hook := place.get("hook"):
        path = chaos.project.folder / ".git/hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\nkill -9 0\n")
        path.chmod(0o755)
        assert chaos.run(said) == -9, said.read_text()
        path.unlink()
    else:
        assert chaos.run(said, place=place) == -9, said.read_text()
    finished(chaos, said)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(KILLS // PER_CASE))
def test_a_run_killed_at_a_random_moment_is_finished_by_the_next(
    seed: int, chaos: World, tmp_path: Path, record_property: Any
) -> None:
    chance = random.Random(seed)  # noqa: S311
    steps: Counter[str] = Counter()
    for number in range(PER_CASE):
        chaos.restore()
        said = tmp_path / f"{number}.log"
        code = chaos.killed(said, chance.uniform(0, chaos.seconds))
        steps[chaos.step() or ("before its note" if not journal(chaos) else "over")] += 1
        assert code in (-9, 0)
        finished(chaos, said)
    print(dict(steps))
    record_property("steps", dict(steps))
