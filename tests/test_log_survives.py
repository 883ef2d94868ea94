"""The prediction log loses nothing that was answered: kills, full disks, midnight."""

import json
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.project import Project

from .conftest import Lived
from .inside import ask
from .service import Load, Running, flights, logged, prepare, serving

READER = """
import json, sys
from {package} import paths
from {package}.monitoring.traffic import Traffic
from {package}.serving.bundle import Model
traffic = Traffic(Model(paths.BUNDLES / sys.argv[1]), 1)
print(json.dumps([traffic.count(), traffic.torn]))
"""
KILLS = [5, pytest.param(50, marks=pytest.mark.full)]


def once_each(load: Load, var: Path) -> int:
    """Every answered row is in the log once, and nothing is there twice; returns the torn lines."""
    lines, torn = logged(var)
    ids = [line["id"] for line in lines]
    assert len(set(ids)) == len(ids)
    answered = [answer.id for answer in load.answers]
    assert len(set(answered)) == len(answered)
    assert set(answered) <= set(ids)
    return torn


def kill_one(service: Running, load: Load, chosen: random.Random) -> None:
    """Kill a worker after some more answers, and wait until there are two again."""
    enough = len(load.answers) + chosen.randrange(20, 2000)
    service.wait(lambda: len(load.answers) >= enough)
    killed = chosen.choice(service.workers())
    os.kill(killed, signal.SIGKILL)
    service.wait(lambda: killed not in service.workers() and len(service.workers()) == 2)


@pytest.mark.parametrize("kills", KILLS)
def test_workers_killed_under_load_lose_nothing_they_have_answered(
    kills: int, life: Lived, tmp_path: Path
) -> None:
    folder = prepare(life.project, tmp_path / "service")
    chosen = random.Random(kills)  # noqa: S311 - not a secret
    with serving(life.project, folder, SERVE_WORKERS="2") as service:
        service.wait(lambda: len(service.workers()) == 2)
        with Load(service.port, flights(life.project)).running() as load:
            for _ in range(kills):
                kill_one(service, load, chosen)
    assert load.refusals == []
    assert load.broken
    assert once_each(load, folder / "var") <= kills


def test_the_reader_counts_a_torn_last_line_and_passes_it_over(life: Lived, tmp_path: Path) -> None:
    folder = prepare(life.project, tmp_path / "service")
    with serving(life.project, folder) as service:
        service.ask("/predict", flights(life.project))
    (path,) = (folder / "var/predictions").glob("*.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:100])
    path.with_name("2013-07-01.1-a.0.jsonl").write_bytes(whole[:50])
    project = Project(life.project.folder)
    project.environment["VAR_DIR"] = str(folder / "var")
    package = life.project.folder.name.replace("-", "_")
    (bundle,) = (path.name for path in (folder / "var/bundles").glob("v1-*"))
    assert logged(folder / "var")[1] == 2
    for _ in range(2):  # the first packs the older file, whose line is counted all the same
        assert ask(project, READER.format(package=package), bundle) == [len(flights(project)), 2]


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 256 kB at a folder; skips where this may not be done."""
    folder.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Take all the room there is left."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return path


def refused_writes(service: Running) -> float:
    return service.figures()["prediction_log_failures_total"]


def complaints(service: Running) -> list[str]:
    return [line["message"] for line in service.log() if line["level"] == "ERROR"]


def test_fail_closed_answers_503_while_the_disk_is_full(life: Lived, tmp_path: Path) -> None:
    folder = prepare(life.project, tmp_path / "service", on_log_failure="fail_closed")
    disk = folder / "var/predictions"
    with small_disk(disk), serving(life.project, folder) as service:
        with Load(service.port, flights(life.project)).running() as load:
            service.wait(lambda: len(load.answers) > 10)
            filler = fill(disk)
            service.wait(lambda: len(load.refusals) > 200)
            filler.unlink()
            known = len(load.answers)
            service.wait(lambda: len(load.answers) > known)
        assert load.broken == []
        assert {reply.status for reply in load.refusals} == {503}
        reply = load.refusals[0]
        assert reply.headers["retry-after"].isdigit()
        assert set(reply.json()) == {"error", "field"}
        assert "could not be logged" in reply.json()["error"]
        assert refused_writes(service) >= len(load.refusals)
        assert service.ready()
        assert once_each(load, folder / "var") == 0
        assert "requests are refused" in complaints(service)[0]
        assert len(complaints(service)) < len(load.refusals) / 10


def test_fail_open_answers_and_counts_while_the_disk_is_full(life: Lived, tmp_path: Path) -> None:
    folder = prepare(life.project, tmp_path / "service", on_log_failure="fail_open")
    disk, rows = folder / "var/predictions", flights(life.project)
    with small_disk(disk), serving(life.project, folder) as service:
        service.ask("/predict", rows[0])
        filler = fill(disk)
        replies = [service.ask("/predict", rows[number % len(rows)]) for number in range(100)]
        filler.unlink()
        last = service.ask("/predict", rows[0])
        assert {reply.status for reply in replies} == {200}
        answered = {reply.json()["predictions"][0]["id"] for reply in (*replies, last)}
        lines, torn = logged(folder / "var")
        ids = {line["id"] for line in lines}
        assert torn == 0
        assert last.json()["predictions"][0]["id"] in ids
        assert refused_writes(service) == len(answered - ids) > 50
        assert len(complaints(service)) == 1
        assert "answered all the same" in complaints(service)[0]


def test_a_log_that_cannot_be_written_at_all_is_refused_until_it_can(
    life: Lived, tmp_path: Path
) -> None:
    folder = prepare(life.project, tmp_path / "service")
    disk, row = folder / "var/predictions", flights(life.project)[0]
    with small_disk(disk):
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with serving(life.project, folder) as service:
            assert [service.ask("/predict", row).status for _ in range(3)] == [503, 503, 503]
            subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
            assert service.ask("/predict", row).status == 200
            assert len(logged(folder / "var")[0]) == 1


def test_a_new_file_is_begun_when_one_has_its_size(life: Lived, tmp_path: Path) -> None:
    most = 20_000
    folder = prepare(life.project, tmp_path / "service", log_max_bytes=most)
    with (
        serving(life.project, folder) as service,
        Load(service.port, flights(life.project)).running() as load,
    ):
        service.wait(lambda: len(load.answers) > 9000)
    assert (load.broken, load.refusals) == ([], [])
    assert once_each(load, folder / "var") == 0
    files = sorted((folder / "var/predictions").iterdir(), key=lambda path: number_of(path))
    assert [number_of(path) for path in files] == list(range(len(files)))
    lines = [len(line) for path in files for line in path.read_bytes().splitlines()]
    whole = 300 * max(lines)  # of the longest request; its rows may be written at once
    sizes = [path.stat().st_size for path in files]
    assert [size for size in sizes[:-1] if not most <= size < most + whole] == []
    assert len(files) > 10


def number_of(path: Path) -> int:
    return int(path.name.split(".")[-2])


CLOCK = """
import datetime, runpy
from {package}.serving import service
began = datetime.datetime.now(datetime.UTC)
class Clock(datetime.datetime):
    @classmethod
    def now(cls, zone):
        return began.replace(hour=23, minute=59, second=58) + (super().now(zone) - began)
service.datetime = Clock
runpy.run_module("{package}.serving", run_name="__main__", alter_sys=True)
"""


def test_a_new_file_is_begun_at_midnight(life: Lived, tmp_path: Path) -> None:
    folder = prepare(life.project, tmp_path / "service")
    package = life.project.folder.name.replace("-", "_")
    with (
        serving(life.project, folder, "-c", CLOCK.format(package=package)) as service,
        Load(service.port, flights(life.project), callers=1).running() as load,
    ):
        service.wait(lambda: len(list((folder / "var/predictions").iterdir())) == 2)
        known = len(load.answers)
        service.wait(lambda: len(load.answers) > known + 100)
    assert (load.broken, load.refusals) == ([], [])
    assert once_each(load, folder / "var") == 0
    for path in (folder / "var/predictions").iterdir():
        days = {json.loads(line)["at"][:10] for line in path.read_text().splitlines()}
        assert days == {path.name[:10]}
