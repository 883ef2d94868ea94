"""Retrainings that are killed: a small project to do it in, and what must hold afterwards."""

import csv
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.project import Project, bake

from .conftest import git
from .inside import borrowed, edit, lock
from .service import Caller, Running, serving

WARM = Path(__file__).with_name("warm.py")
KEPT = ("predictions",)  # of var/, which the service writes all the time
ASIDE = re.compile(r"\..+\.\d+")
ROWS = [
    {"age": 30, "plan": "pro", "spend": 10.5},
    {"age": 70, "plan": "basic", "spend": 3.25},
    {"age": 51, "plan": "plus", "spend": 200.0},
]
GATE = {  # the next model takes over, whatever it is worth
    "min_skill: 0.02": "min_skill: -1.0",
    "min_gain: 0.0": "min_gain: -1.0",
    "confidence: 0.95": "confidence: null",
    "max_guard_loss: 0.01": "max_guard_loss: null",
    "max_calibration_loss: 0.02": "max_calibration_loss: null",
    "max_segment_loss: 0.1": "max_segment_loss: null",
    "max_slowdown: 3.0": "max_slowdown: null",
}


def table(folder: Path, month: int, rows: int = 300) -> Path:
    """A month of made-up customers as CSV, always the same."""
    chance = random.Random(month)  # noqa: S311
    path = folder / f"2024-{month:02d}.csv"
    folder.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["customer_id", "signed_up", "age", "plan", "spend", "churned"])
        for number in range(rows):
            age = chance.randint(18, 89)
            plan, spend = chance.choice(["basic", "plus", "pro"]), chance.lognormvariate(3, 1)
            left = "yes" if chance.random() < (age - 10) / 90 else "no"
            day = f"2024-{month:02d}-{1 + number % 28:02d}"
            writer.writerow([f"{month:02d}{number:04d}", day, age, plan, round(spend, 2), left])
    return path


def small(template: Path, folder: Path, environment: Path) -> Project:
    """A released project on a small table, with a partition more to take in."""
    for month in (1, 2, 3):
        table(folder / "tables", month)
    baked = bake(folder, template, project_name="Customer Care")
    (baked / ".venv").symlink_to(environment)
    (baked / ".git/info/exclude").write_text("/.venv\n")
    project = borrowed(baked)
    project.environment |= {
        "DO_NOT_TRACK": "true",
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
        "DATA": str(folder / "tables"),
        "TARGET": "churned",
    }
    project.run("python", "-m", "customer_care.adopt")
    edit(project, "conf/config.yaml", "model: hist_gradient_boosting", "model: logistic_regression")
    for old, new in GATE.items():
        edit(project, "conf/gate/default.yaml", old, new)
    edit(project, "conf/serving/default.yaml", "poll_seconds: 0.5", "poll_seconds: 0.05")
    project.run("dvc", "repro")
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", "The first model")
    project.run("python", "-m", "customer_care.registry.release")
    table(folder / "tables", 4)
    return project


@dataclass
class Watcher:
    """A caller that asks all the time, and what it was told."""

    port: int
    told: dict[int, set[tuple[float, ...]]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> int:
        """Ask for the rows once; returns the version that answered, 0 when none did."""
        caller = Caller(self.port)
        try:
            reply = caller.ask("/predict", json.dumps(ROWS).encode())
            if reply.status != 200:
                self.failed.append(f"{reply.status}: {reply.text()}")
                return 0
            found = reply.json()
        except OSError as error:
            self.failed.append(repr(error))
            return 0
        finally:
            caller.close()
        answers = tuple(one["probability"] for one in found["predictions"])
        self.told.setdefault(found["version"], set()).add(answers)
        return int(found["version"])

    @contextmanager
    def running(self) -> Iterator["Watcher"]:
        """Ask in the background."""

        def ask() -> None:
            while not self._over.wait(0.05):
                self.ask()

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()


def gone(group: int) -> None:
    """Wait for the end of a killed group: what dies on a busy machine still has its locks."""
    while _alive(group):
        time.sleep(0.01)


def _alive(group: int) -> bool:
    """A zombie is dead once its other threads are: they have the files as well."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, its_group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
            threads = len(list((process / "task").iterdir()))
            if int(its_group) == group and (state not in "ZX" or threads > 1):
                return True
    return False


@dataclass
class World:
    """A project whose retrainings are started and killed, and its service, which goes on."""

    project: Project
    kept: Path
    warm: "subprocess.Popen[str]"
    service: Running
    watcher: Watcher
    seconds: float = 0.0  # of an undisturbed run

    @property
    def var(self) -> Path:
        """The project's state."""
        return self.project.folder / "var"

    def restore(self) -> None:
        """Make the project what it was before its first retraining."""
        mirror(self.kept / "project", self.project.folder)
        mirror(self.kept / "remote", self.remote)
        table(self.project.folder.parent / "tables", 4)
        self.service.wait(lambda: self.service.serves(1))

    @property
    def remote(self) -> Path:
        """The folder that DVC pushes to."""
        return self.project.folder.parent / f"{self.project.folder.name}.dvc-remote"

    def start(self, said: Path, **order: Any) -> int:
        """Start a run; returns its process group."""
        order |= {"said": str(said), "folder": str(self.project.folder)}
        assert self.warm.stdin
        self.warm.stdin.write(json.dumps(order) + "\n")
        self.warm.stdin.flush()
        return int(self._answer()["pid"])

    def code(self) -> int:
        """Wait for the run; its exit code."""
        return int(self._answer()["code"])

    def run(self, said: Path, **order: Any) -> int:
        """A run to its end."""
        group = self.start(said, **order)
        code = self.code()
        if code < 0:
            gone(group)
        return code

    def killed(self, said: Path, after: float) -> int:
        """A run, killed with all it has started after some seconds; its exit code."""
        group = self.start(said)
        time.sleep(after)  # the moment is what the test is about
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        gone(group)
        return self.code()

    def _answer(self) -> dict[str, Any]:
        assert self.warm.stdout
        line = self.warm.stdout.readline()
        assert line, "the warm process has died"
        found: dict[str, Any] = json.loads(line)
        return found

    def step(self) -> str:
        """What the run that was killed had been about to do; empty when its entry is written."""
        with suppress(FileNotFoundError):
            found: str = self.project.json("var/retraining.json")["step"]
            return found
        return ""

    def serves_as_ever(self) -> None:
        """The service answers exactly as one of the two champions does."""
        assert self.watcher.ask() in (1, 2)
        assert self.watcher.failed == []
        assert {version: len(answers) for version, answers in self.watcher.told.items()} in (
            {1: 1},
            {1: 1, 2: 1},
        )


@contextmanager
def world(project: Project, folder: Path) -> Iterator[World]:
    """The service, a warm process, and a copy of what both start from."""
    kept = folder / "kept"
    remote = project.folder.parent / f"{project.folder.name}.dvc-remote"
    remote.mkdir(exist_ok=True)
    mirror(project.folder, kept / "project")
    mirror(remote, kept / "remote")
    service = folder / "service"
    service.mkdir()
    for name in ("params.json", "schema.json"):
        shutil.copy2(project.folder / name, service)
    python = str(project.folder / ".venv/bin/python")
    path = f"{project.folder / '.venv/bin'}{os.pathsep}{project.environment['PATH']}"
    with (
        serving(project, service, VAR_DIR=str(project.folder / "var")) as running,
        Watcher(running.port).running() as watcher,
        subprocess.Popen(
            [python, str(WARM), "customer_care", str(folder / "learned")],
            cwd=project.folder,
            env=project.environment | {"PATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as warm,
    ):
        found = World(project, kept, warm, running, watcher)
        try:
            assert found._answer() == {"ready": True}
            yield found
        finally:
            warm.kill()


def mirror(source: Path, target: Path) -> None:
    """Make a folder what another is, but for what the service writes."""
    target.mkdir(parents=True, exist_ok=True)
    for path in target.iterdir():
        if path.name == "var":
            for inner in path.iterdir():
                if inner.name not in KEPT and inner.name != "bundles":
                    _remove(inner)
            for inner in (path / "bundles").glob(".*"):
                _remove(inner)
        elif path.name != ".venv":
            _remove(path)
    skipped = shutil.ignore_patterns(".venv", *KEPT)
    shutil.copytree(
        source, target, symlinks=True, dirs_exist_ok=True, ignore=skipped, copy_function=_at_once
    )
    pointer = "champion.json"
    bundles = target / "var/bundles"
    for path in bundles.glob("v*") if (source / "var/bundles" / pointer).exists() else ():
        if not (source / "var/bundles" / path.name).exists():
            _remove(path)


def _at_once(source: str, target: str) -> None:
    """Copy a file; who reads the target sees the old one or the new one."""
    aside = f"{target}.aside"
    shutil.copy2(source, aside, follow_symlinks=False)
    Path(aside).replace(target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def asked(database: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query to the registry."""
    with closing(sqlite3.connect(database)) as registry:
        return registry.execute(query).fetchall()


def as_it_must_be(world: World) -> None:
    """Registry, aliases, bundle, pointer, history, journal, git and remote tell the same story."""
    project, var = world.project, world.var
    database = var / "mlflow.db"
    prints = asked(
        database, "SELECT version, value FROM model_version_tags WHERE key = 'fingerprint'"
    )
    versions = asked(database, "SELECT version, run_id FROM model_versions ORDER BY version")
    assert [number for number, _ in versions] == [1, 2]
    fingerprints = dict(prints)
    assert len(set(fingerprints.values())) == len(prints) == 2
    aliases = dict(asked(database, "SELECT alias, version FROM registered_model_aliases"))
    assert aliases == {"champion": 2, "previous": 1}
    # A run killed right after its line is in the history leaves it with the champion, too.
    lines = asked(database, "SELECT version FROM model_version_tags WHERE key = 'history_line'")
    assert lines in ([], [(2,)])

    pointer = project.json("var/bundles/champion.json")["bundle"]
    manifest = project.json(f"var/bundles/{pointer}/bundle.json")
    assert manifest["version"] == 2
    assert manifest["fingerprint"] == fingerprints[2]
    assert manifest["run_id"] == dict(versions)[2]
    for name, sha in manifest["files"].items():
        data = (var / "bundles" / pointer / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == sha
    assert sorted(path.name[:2] for path in (var / "bundles").glob("v*")) == ["v1", "v2"]

    running = asked(database, "SELECT run_uuid FROM runs WHERE status IN ('RUNNING', 'SCHEDULED')")
    assert running == []
    logged = asked(database, "SELECT value, run_uuid FROM tags WHERE key = 'fingerprint'")
    assert sorted(logged) == sorted((fingerprints[n], run) for n, run in versions)
    pending = asked(
        database,
        "SELECT model_id FROM logged_models WHERE lifecycle_stage = 'active' AND status != 2",
    )
    assert pending == []
    artifacts = dict(asked(database, "SELECT run_uuid, artifact_uri FROM runs"))
    kept = Path(artifacts[manifest["run_id"]].removeprefix("file://")) / "bundle"
    assert {path.name for path in kept.iterdir()} == {*manifest["files"], "bundle.json"}

    history = project.lines("var/history.jsonl")
    assert [(line["event"], line["version"]) for line in history] == [
        ("promoted", 1),
        ("promoted", 2),
    ]
    last = history[-1]
    assert last["fingerprint"] == manifest["fingerprint"]
    assert (last["previous"], last["rule"]) == (1, "min_gain")
    assert (var / last["report"]).exists()

    assert git(project.folder, "status", "--porcelain") == ""
    assert lock(project)["models/model.joblib"] == manifest["model_md5"]
    assert lock(project)["data/raw"] == manifest["data_md5"]
    for md5 in lock(project).values():
        if not md5.endswith(".dir"):
            cached = world.project.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
            remote = world.remote / "files/md5" / md5[:2] / md5[2:]
            assert remote.exists() or not cached.exists() or not_cached(md5, project)
    world.service.wait(lambda: world.service.serves(2))
    world.serves_as_ever()
    assert leftovers(world) == []


def not_cached(md5: str, project: Project) -> bool:
    """Whether an output is kept in git instead of DVC."""
    kept = {"params.json", "schema.json"}
    return md5 in {found for path, found in lock(project).items() if path in kept}


def leftovers(world: World) -> list[str]:
    """What only a run that is under way may have."""
    folder = world.project.folder
    found = [path for path in (world.var / "bundles").iterdir() if path.name.startswith(".")]
    found += [folder / "var/retraining.json"] if (folder / "var/retraining.json").exists() else []
    found += list((folder / ".git").glob("*.lock"))
    found += list((folder / ".git/refs").rglob("*.lock"))
    places = [folder.glob(".*"), *((folder / name).rglob(".*") for name in ("conf", "var"))]
    places += [(folder / name).rglob(".*") for name in ("data", "models", "reports")]
    found += [path for place in places for path in place if ASIDE.fullmatch(path.name)]
    busy = folder / ".dvc/tmp/rwlock"
    if busy.exists() and any(json.loads(busy.read_text()).values()):
        found.append(busy)
    return [str(path.relative_to(folder)) for path in found]


def journal(world: World) -> list[tuple[str, str]]:
    """Outcome and beginning of each run that the journal knows."""
    if not (world.var / "journal.jsonl").exists():
        return []
    return [(line["outcome"], line["started"]) for line in world.project.lines("var/journal.jsonl")]
