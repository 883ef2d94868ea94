"""docs/growing.md, command by command: servers, a cluster that loses a machine, and back."""

import csv
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from demo.project import CommandFailed, Project

from .chaos import asked, small
from .conftest import git, installed
from .hosts import Host, lacking, network
from .inside import edit, refusal

pytestmark = pytest.mark.full

ADDRESSES = ("10.20.0.5", "10.20.0.6", "10.20.0.7")  # the first is the page's
PASSWORD = "a password of the tests"  # noqa: S105
STORE = "http://10.20.0.5:9000"
KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": PASSWORD}
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
POSTGRES = Path("/var/lib/postgresql")  # the home of PostgreSQL's user
RAY = Path("/mnt")  # in place of /tmp/ray, which two runs of this test would share
PATIENCE = 300.0
TRIALS = 24
MODEL = "hist_gradient_boosting"
TUNED = f"conf/tuned/{MODEL}.yaml"
# So many rounds take seconds a fold: a machine dies in the middle of one.
SWEEP = ("python", "-m", "customer_care.sweep", f"model={MODEL}", "model.estimator.max_iter=2000")
RELEASE = ("python", "-m", "customer_care.registry.release")
SMALL = "--num-cpus 1 --object-store-memory 100000000"  # three machines share this one
FETCH = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[2], method=sys.argv[1])
print(urllib.request.urlopen(request, timeout=10).read().decode())
"""
TRIED = "SELECT state, count(*) FROM trials GROUP BY state"
LOGGED = """
SELECT number.value, parent.value, run.status FROM runs run
JOIN tags number ON number.run_uuid = run.run_uuid AND number.key = 'trial'
JOIN tags parent ON parent.run_uuid = run.run_uuid AND parent.key = 'mlflow.parentRunId'
WHERE run.lifecycle_stage = 'active'
"""
STUDIES = """
SELECT run.run_uuid, run.status FROM runs run
JOIN tags tag ON tag.run_uuid = run.run_uuid AND tag.key = 'study'
"""
CHAMPION = "SELECT version FROM registered_model_aliases WHERE alias = 'champion'"


class Page:
    """The commands that the page tells."""

    def __init__(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        blocks = re.findall(r"^```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        self._lines = "".join(blocks).replace("\\\n", "").splitlines()
        exports = (re.fullmatch(r"export (\w+)=(\S+)", line) for line in self._lines)
        self.addresses = {found[1]: found[2] for found in exports if found}

    def line(self, beginning: str) -> str:
        """The one command, or line of a file, that begins so."""
        (found,) = {line for line in self._lines if line.startswith(beginning)}
        return found


class Machine(Project):
    """The project as it lies on one of the machines, and a home to work in."""

    def __init__(self, host: Host, project: Project, home: Path) -> None:
        super().__init__(project.folder)
        home.mkdir()
        self.host = host
        own = {"HOME": str(home), "DVC_SITE_CACHE_DIR": str(home / "site"), "RAY_TMPDIR": str(RAY)}
        self.environment = {**project.environment, **own, "no_proxy": "*"}

    def run(self, *command: str) -> str:
        return super().run(*self.host.command(*command, folder=self.folder))

    def type(self, line: str) -> str:
        """What a line of the page prints."""
        return self.run("sh", "-c", line)

    @contextmanager
    def running(self, log: Path, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A command that goes on, killed at the end of the block; what it prints is in the log."""
        active = {"PATH": f"{self.folder / '.venv/bin'}:{self.environment['PATH']}"}
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.host.command(*command, folder=self.folder),
                env=self.environment | active,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def at_work(self) -> bool:
        """Whether a process of Ray's is at a fold here: its title says so."""
        return "ray::score" in self.host.titles()


@dataclass
class Site:
    """The project on this machine, with nothing but its own files, and on three others."""

    project: Project
    before: dict[str, bytes]  # its databases, from when nothing else was there
    page: Page
    folder: Path
    first: Machine
    second: Machine
    third: Machine

    @property
    def ray(self) -> str:
        """The page's setting for a sweep on the cluster."""
        return self.page.line('make sweep SET="').split('"')[1]

    def rows(self, database: str, query: str) -> list[list[str]]:
        """Rows of a query to PostgreSQL, over a socket that is a file."""
        ask = [str(BINARIES[-1] / "psql"), "--csv", "--tuples-only", "--username", "postgres"]
        ask += ["--host", str(self.folder / "postgresql"), "--command", query, database]
        done = subprocess.run(ask, capture_output=True, text=True, check=True)
        return list(csv.reader(done.stdout.splitlines()))

    def tried(self) -> dict[str, int]:
        """How many trials there are of each state."""
        return {state: int(count) for state, count in self.rows("optuna", TRIED)}

    def finished(self) -> int:
        """How many trials have ended well."""
        return sum(self.tried().get(state, 0) for state in ("COMPLETE", "PRUNED"))


def until(condition: Callable[[], bool], log: Path) -> None:
    """Ask until the condition holds; fails with the end of the log after `PATIENCE`."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, log.read_text(errors="replace")[-5000:]
        time.sleep(0.1)


@pytest.fixture(scope="module", autouse=True)
def possible() -> None:
    if reason := lacking():
        pytest.skip(reason)
    if not BINARIES:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")


@pytest.fixture(scope="module")
def environment(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of the pipeline, to which the page adds packages."""
    lock = template / "{{cookiecutter.project_slug}}/locks/pipeline.txt"
    return installed(lock, tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture(scope="module")
def project(template: Path, environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small released project with a study of one trial, all in its own files."""
    made = small(template, tmp_path_factory.mktemp("growing"), environment)
    made.make("env")
    page, first = Page(made.folder / "docs/growing.md"), "LOCKS := locks/pipeline.txt\n"
    edit(made, "Makefile", first, f"{first}{page.line('LOCKS +=')}\n")
    made.make("env")
    made.run("git", "commit", "--quiet", "--all", "--message", "Packages of a cluster")
    del made.environment["PYTHONPATH"]  # which was in place of `make env`
    made.run("dvc", "push")
    made.run(*SWEEP, "sweep.n_trials=1")
    (made.folder / TUNED).unlink()
    return made


@pytest.fixture(scope="module")
def site(
    project: Project, emulators: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Three machines with what the page makes of them."""
    folder = tmp_path_factory.mktemp("site")
    with ExitStack() as stack:
        mounts: dict[str, dict[Path, Path]] = {}
        for address in ADDRESSES:
            own = folder / address
            (own / "ray").mkdir(parents=True)
            mounts[address] = {RAY: own / "ray"}
            if address == ADDRESSES[0]:
                mounts[address][POSTGRES] = folder / "postgresql"
                (folder / "postgresql").mkdir()
            else:  # the first has the project itself, the others a checkout in its place
                git(folder, "clone", "--quiet", str(project.folder), str(own / "checkout"))
                (own / "checkout/.venv").symlink_to((project.folder / ".venv").resolve())
                mounts[address][project.folder] = own / "checkout"
        hosts = stack.enter_context(network(mounts))
        machines = [Machine(host, project, folder / host.address / "home") for host in hosts]
        before = {
            name: (project.folder / "var" / name).read_bytes()
            for name in ("mlflow.db", "optuna.db")
        }
        page = Page(project.folder / "docs/growing.md")
        made = Site(project, before, page, folder, *machines)
        database(made)
        stack.enter_context(store(made, emulators))
        stack.enter_context(registry(made))
        cluster(made)
        yield made


def database(site: Site) -> None:
    """PostgreSQL on the first machine, in a folder of the test, with the page's two databases."""
    place = site.folder / "postgresql"
    shutil.chown(place, "postgres", "postgres")

    def own(*command: str, given: str = "") -> None:
        """Run a command as PostgreSQL's user, without a terminal to ask on."""
        as_it = ("runuser", "--user", "postgres", "--", *command)
        path = f"{BINARIES[-1]}:{site.first.environment['PATH']}"
        subprocess.run(
            site.first.host.command(*as_it, folder=Path("/")),
            env={**site.first.environment, "PATH": path, "PGHOST": str(POSTGRES)},
            input=given,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            check=True,
            text=True,
        )

    own("initdb", "--auth-local=trust", "--auth-host=scram-sha-256", f"--pgdata={POSTGRES}/data")
    for file, line in (("postgresql.conf", "listen_addresses"), ("pg_hba.conf", "host ")):
        with (place / "data" / file).open("a", encoding="utf-8") as settings:
            settings.write(f"{site.page.line(line)}\n")
    log = f"--log={POSTGRES}/log"
    own("pg_ctl", "start", f"--pgdata={POSTGRES}/data", log, f"--options=-k {POSTGRES}")
    own("sh", "-c", site.page.line("createuser"), given=f"{PASSWORD}\n{PASSWORD}\n")
    for name in ("mlflow", "optuna"):
        own("sh", "-c", site.page.line(f"createdb --owner mlops {name}"))
    for machine in (site.first, site.second):  # whoever drives knows the password
        known = Path(machine.environment["HOME"]) / ".pgpass"
        known.write_text(f"10.20.0.5:5432:*:mlops:{PASSWORD}\n", encoding="utf-8")
        known.chmod(0o600)


@contextmanager
def store(site: Site, emulators: Path) -> Iterator[None]:
    """A store for S3 on the first machine, with the page's bucket."""
    log = site.folder / "store.log"
    command = [str(emulators / "moto_server"), "-H", "10.20.0.5", "-p", STORE.rpartition(":")[2]]
    with site.first.running(log, *command):
        until(lambda: answers(site.first, "PUT", f"{STORE}/mlops"), log)
        yield


@contextmanager
def registry(site: Site) -> Iterator[None]:
    """The page's MLflow server."""
    log = site.folder / "mlflow.log"
    before = site.first.environment
    site.first.environment = {**before, **KEYS, "MLFLOW_S3_ENDPOINT_URL": STORE}
    site.first.type(site.page.line("mlflow db upgrade"))
    server = f"{site.page.line('export MLFLOW_SERVER')}; exec {site.page.line('mlflow server')}"
    with site.first.running(log, "sh", "-c", server):
        site.first.environment = before
        until(lambda: answers(site.first, "GET", "http://10.20.0.5:5000/health"), log)
        for machine in (site.first, site.second):
            machine.environment |= site.page.addresses
        yield


def answers(machine: Machine, method: str, address: str) -> bool:
    """Whether there is an answer to a request."""
    with suppress(CommandFailed):
        machine.run("python", "-c", FETCH, method, address)
        return True
    return False


def cluster(site: Site) -> None:
    """The page's Ray cluster of all three machines; ends with them."""
    site.first.type(f"{site.page.line('ray start --head')} {SMALL}")
    for machine in (site.second, site.third):
        machine.type(f"{site.page.line('ray start --address')} {SMALL}")


def stored(site: Site) -> set[str]:
    """The names of the files in the store."""
    listed = site.first.run(
        "python", "-c", FETCH, "GET", f"{STORE}/mlops?list-type=2&prefix=mlflow"
    )
    return {key.rpartition("/")[2] for key in re.findall(r"<Key>([^<]+)</Key>", listed)}


def test_a_release_goes_to_postgresql_and_the_store(site: Site) -> None:
    assert "first model" in site.first.run(*RELEASE)  # the new registry begins empty
    assert site.rows("mlflow", CHAMPION) == [["1"]]
    assert {"model.skops", "evaluation.png", "metrics.json"} <= stored(site)


def test_a_study_is_finished_as_asked_though_a_machine_is_lost(site: Site) -> None:
    site.second.run("dvc", "pull")
    settings = (site.ray, f"sweep.n_trials={TRIALS}")
    log = site.folder / "sweep.log"
    with site.first.running(log, *SWEEP, *settings) as driver:
        worked: set[str] = set()

        def all_work(*machines: Machine) -> bool:
            assert driver.poll() is None, log.read_text()
            worked.update(machine.host.address for machine in machines if machine.at_work())
            return len(worked) == len(machines)

        until(lambda: all_work(site.first, site.second, site.third), log)
        until(lambda: site.finished() >= 3 and site.third.at_work(), log)
        site.third.host.lose()
        assert site.finished() < TRIALS / 2
        worked.clear()
        until(lambda: all_work(site.first, site.second), log)
        said = refusal(site.second, *SWEEP, *settings)
        assert "ended with 75" in said
        assert "another machine works on the study" in said
        assert driver.poll() is None
        assert driver.wait(PATIENCE) == 0, log.read_text()
    as_asked(site, TRIALS)
    assert (
        yaml.safe_load((site.project.folder / TUNED).read_text())["estimator"]["max_iter"] == 2000
    )
    assert {"history.png", "importance.png"} <= stored(site)


def interrupt(process: "subprocess.Popen[bytes]") -> None:
    """Press Ctrl+C, but for the one who has entered the machine and waits for the command."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGINT)


def as_asked(site: Site, trials: int) -> None:
    """PostgreSQL and the server hold each of the trials once, finished, below one study."""
    tried = site.tried()
    assert set(tried) <= {"COMPLETE", "PRUNED"}, tried
    assert sum(tried.values()) == trials
    ((study, status),) = site.rows("mlflow", STUDIES)
    assert status == "FINISHED"
    logged = site.rows("mlflow", LOGGED)
    assert {parent for _, parent, _ in logged} == {study}
    assert sorted(int(number) for number, _, _ in logged) == list(range(trials))
    found = Counter(status for _, _, status in logged)
    assert found == {"FINISHED": tried["COMPLETE"], "KILLED": tried.get("PRUNED", 0)}


def test_another_machine_goes_on_on_the_cluster_and_with_its_own_processes(site: Site) -> None:
    log = site.folder / "stopped.log"
    total = TRIALS + 6
    with site.second.running(log, *SWEEP, site.ray, f"sweep.n_trials={total}") as driver:
        until(lambda: site.finished() > TRIALS, log)
        interrupt(driver)
        assert driver.wait(PATIENCE) == 130, log.read_text()
    finished = site.finished()
    assert f"stopped with {finished} trials finished; to go on: make sweep" in log.read_text()
    said = site.second.run(*SWEEP, f"sweep.n_trials={total}")
    assert f"{finished} trials finished, {total} asked" in said
    as_asked(site, total)


def test_without_the_addresses_the_projects_own_files_are_as_they_were(site: Site) -> None:
    project = site.project
    for name, content in site.before.items():
        assert (project.folder / "var" / name).read_bytes() == content
    (project.folder / TUNED).unlink(missing_ok=True)
    project.run(*RELEASE)
    assert asked(project.folder / "var/mlflow.db", CHAMPION) == [(1,)]
    assert "1 trial finished, 2 asked" in project.run(*SWEEP, "sweep.n_trials=2")
