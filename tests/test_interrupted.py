"""Retrainings that are killed or fail: what served goes on, and the next run finishes the work."""

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.project import free_port

from .chaos import World, as_it_must_be, asked, journal, mirror, small, table, world
from .conftest import Lived
from .test_log_survives import fill

KILLS = 100
ROOMS = (0, 4096, 16_384, 65_536, 131_072, 262_144)  # bytes that a full disk still has
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
    "while dvc push looks for what to push": at(
        "dvc_data.index.collect:_collect_from_index", turn=2
    ),
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
    "before train",
    "while the model is logged",
    "between the two alias moves",
)


@pytest.fixture(scope="module")
def chaos(template: Path, life: Lived, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A small project with its service, after an undisturbed run has shown how long one takes."""
    folder = tmp_path_factory.mktemp("chaos")
    project = small(template, folder, life.project.folder / ".venv")
    with world(project, folder) as found:
        began, said = time.perf_counter(), folder / "undisturbed.log"
        assert found.run(said) == 0, said.read_text()
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
    if step and "promoted" not in dict(before):
        assert outcomes.pop(0) == "interrupted"
    (outcome,) = outcomes
    assert outcome in ("promoted", "nothing_to_do")
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
    seed: int, chaos: World, tmp_path: Path
) -> None:
    chance = random.Random(seed)  # noqa: S311
    steps: Counter[str] = Counter()
    while steps.total() < PER_CASE:
        chaos.restore()
        said = tmp_path / f"{steps.total()}.log"
        began = time.perf_counter()
        if chaos.killed(said, chance.uniform(0, chaos.seconds)) == 0:
            chaos.seconds = min(chaos.seconds, time.perf_counter() - began)
            continue  # it was over before
        step = chaos.step() or ("after its entry" if journal(chaos) else "before its note")
        steps[step] += 1
        began = time.perf_counter()
        finished(chaos, said)
        if step == "data":  # all was still to be done: so long it takes on a machine as busy as now
            chaos.seconds = time.perf_counter() - began
    print(dict(steps))


def by_hand(chaos: World) -> "subprocess.Popen[str]":
    """The command itself, as cron starts it."""
    return subprocess.Popen(
        [str(chaos.project.folder / ".venv/bin/python"), "-m", "customer_care.retrain"],
        cwd=chaos.project.folder,
        env=chaos.project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def is_told_to_come_back(chaos: World) -> None:
    """A run started now ends with 75 and one sentence, and has done nothing."""
    before = journal(chaos)
    second = by_hand(chaos)
    said, error = second.communicate()
    assert (second.returncode, said) == (75, "")
    assert error == "error: another process holds the lock retrain; nothing was done\n"
    assert journal(chaos) == before


def test_of_two_runs_at_once_one_works_and_the_other_is_told_to_come_back(
    chaos: World, tmp_path: Path
) -> None:
    chaos.restore()
    said = tmp_path / "said.log"
    group = chaos.start(said)
    chaos.service.wait(lambda: chaos.step() != "")
    os.killpg(group, signal.SIGSTOP)
    is_told_to_come_back(chaos)
    os.killpg(group, signal.SIGCONT)
    assert chaos.code() == 0, said.read_text()
    assert [outcome for outcome, _ in journal(chaos)] == ["promoted"]
    as_it_must_be(chaos)


def test_what_a_run_killed_alone_has_started_still_holds_its_lock(
    chaos: World, tmp_path: Path
) -> None:
    # an orphan goes on: a second DVC at the same files would fail, or worse
    chaos.restore()
    first = by_hand(chaos)
    chaos.service.wait(lambda: any("dvc" in command for _, command in children(first.pid)))
    (orphan,) = (pid for pid, command in children(first.pid) if "dvc" in command)
    os.kill(orphan, signal.SIGSTOP)
    first.kill()
    first.wait()
    is_told_to_come_back(chaos)
    os.kill(orphan, signal.SIGCONT)
    chaos.service.wait(lambda: not Path(f"/proc/{orphan}/cwd").exists())
    finished(chaos, tmp_path / "said.log")


def children(process: int) -> list[tuple[int, str]]:
    """Id and command of the processes that a process has started."""
    found = []
    for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        found.append((int(pid), Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")))
    return found


def served(chaos: World) -> tuple[Any, ...]:
    """What decides who serves, and what is known of it."""
    registry = chaos.var / "mlflow.db"
    return (
        (chaos.var / "bundles/champion.json").read_bytes(),
        (chaos.var / "history.jsonl").read_bytes(),
        sorted(asked(registry, "SELECT alias, version FROM registered_model_aliases")),
        sorted(asked(registry, "SELECT version FROM model_versions")),
        sorted(path.name for path in (chaos.var / "bundles").iterdir()),
    )


@contextmanager
def fails(chaos: World, said: Path, why: str) -> Iterator[dict[str, Any]]:
    """Give a place for a run's order; the run fails, and nothing that served has changed.

    `why` is in the one sentence of the journal and of the last line of its output.
    """
    before = served(chaos)
    order: dict[str, Any] = {}
    yield order
    known = journal(chaos)
    assert chaos.run(said, **order) == 1, said.read_text()
    text = said.read_text()
    assert "Traceback" not in text
    last = text.splitlines()[-1]
    assert last.startswith("error: ")
    assert why in last
    assert len(journal(chaos)) == len(known) + 1
    entry = chaos.project.lines("var/journal.jsonl")[-1]
    assert entry["outcome"] == "failed"
    assert why in entry["error"]
    assert "\n" not in entry["error"]
    assert served(chaos) == before
    chaos.serves_as_ever()
    assert chaos.service.serves(1)


def unchanged(chaos: World, before: tuple[Any, ...]) -> None:
    """What served before serves, and the journal is whole."""
    assert served(chaos) == before
    chaos.serves_as_ever()
    assert chaos.service.serves(1)


def torn_csv(tables: Path) -> None:
    path = tables / "2024-04.csv"
    path.write_bytes(path.read_bytes()[:-25])


def torn_parquet(tables: Path) -> None:
    (tables / "2024-04.csv").unlink()
    (tables / "2024-04.parquet").write_bytes(b"PAR1" + b"\0" * 1000)


def against_the_schema(tables: Path) -> None:
    path = tables / "2024-04.csv"
    path.write_text(path.read_text().replace(",yes", ",perhaps"))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(one, marks=() if one is against_the_schema else pytest.mark.full)
        for one in (against_the_schema, torn_csv, torn_parquet)
    ],
)
def test_broken_new_data_fail_the_run_until_they_are_mended(
    damage: Callable[[Path], None], chaos: World, tmp_path: Path
) -> None:
    chaos.restore()
    tables = chaos.project.folder.parent / "tables"
    damage(tables)
    for number in range(2):
        with fails(chaos, tmp_path / f"{number}.log", "2024-04"):
            pass
    (tables / "2024-04.parquet").unlink(missing_ok=True)
    table(tables, 4)
    finished(chaos, tmp_path / "mended.log")


@pytest.mark.full
def test_a_locked_registry_fails_the_run_until_it_is_free(chaos: World, tmp_path: Path) -> None:
    chaos.restore()
    before = served(chaos)
    with closing(sqlite3.connect(chaos.var / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        known = journal(chaos)
        order = {"settings": {"PACKAGE.registry.store:PATIENCE": 0.2}}
        said = tmp_path / "said.log"
        assert chaos.run(said, **order) == 1, said.read_text()
        other.execute("ROLLBACK")
    assert said.read_text().splitlines()[-1].endswith("fails: database is locked")
    entry = chaos.project.lines("var/journal.jsonl")[-1]
    assert len(journal(chaos)) == len(known) + 1
    assert (entry["outcome"], "database is locked" in entry["error"]) == ("failed", True)
    unchanged(chaos, before)
    finished(chaos, tmp_path / "free.log")


@pytest.mark.full
def test_a_registry_that_does_not_answer_fails_the_run_until_it_does(
    chaos: World, tmp_path: Path
) -> None:
    chaos.restore()
    address = f"http://127.0.0.1:{free_port()}"
    with fails(chaos, tmp_path / "said.log", f"the registry at {address} fails") as order:
        order["environment"] = {"MLFLOW_TRACKING_URI": address}
    finished(chaos, tmp_path / "back.log")


@pytest.fixture
def full_disk(chaos: World) -> Iterator[Callable[[int], Path]]:
    """The project on a small file system; call it to leave so many bytes of room."""
    chaos.restore()
    folder = chaos.project.folder
    options = ["-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    environment = (folder / ".venv").resolve()
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        mirror(chaos.kept / "project", folder)
        (folder / ".venv").symlink_to(environment)

        def leave(room: int) -> Path:
            filler = fill(folder / "var")
            with filler.open("r+b") as file:
                file.truncate(max(0, filler.stat().st_size - room))
            return filler

        yield leave
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.full
def test_a_full_disk_fails_the_run_until_there_is_room(
    full_disk: Callable[[int], Path], chaos: World, tmp_path: Path
) -> None:
    before = served(chaos)
    for room in ROOMS:
        filler, said, known = full_disk(room), tmp_path / f"{room}.log", journal(chaos)
        code = chaos.run(said)
        filler.unlink()
        assert code == 1, said.read_text()
        assert said.read_text().splitlines()[-1].startswith("error: ")
        if len(journal(chaos)) > len(known):
            entry = chaos.project.lines("var/journal.jsonl")[-1]
            assert entry["outcome"] == "failed"
            assert "\n" not in entry["error"]
        else:
            assert f"{chaos.var / 'journal.jsonl'} could not be written" in said.read_text()
        unchanged(chaos, before)
    finished(chaos, tmp_path / "room.log")
