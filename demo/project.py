"""Baking a project and running its commands the way a user does."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).resolve().parents[1]
PATIENCE = 60.0  # seconds to wait for a service that shows signs of life

Show = Callable[[str], None]


class CommandFailed(Exception):
    """A command of the project ended with another code than 0."""


def bake(output: Path, template: str | Path = TEMPLATE, **answers: str) -> Path:
    """Bake into a folder with `cookiecutter`; returns the project's folder.

    Raises `CommandFailed` with the hook's sentence when the answers are refused.
    """
    output.mkdir(parents=True, exist_ok=True)
    before = set(output.iterdir())
    given = [f"{name}={value}" for name, value in answers.items()]
    command = [sys.executable, "-m", "cookiecutter", str(template), "--no-input", "-o", str(output)]
    # No replay file is left in the user's home.
    environment = {**os.environ, "COOKIECUTTER_CONFIG": str(_settings(output))}
    done = subprocess.run(
        [*command, *given], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise CommandFailed(done.stdout + done.stderr)
    (folder,) = set(output.iterdir()) - before
    return folder


def _settings(output: Path) -> Path:
    home = output.parent / f".{output.name}.cookiecutter"
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "config.yaml"
    folders = {"cookiecutters_dir": str(home / "templates"), "replay_dir": str(home / "replay")}
    settings.write_text(json.dumps(folders), encoding="utf-8")  # JSON is YAML
    return settings


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Project:
    """A baked project: its commands, its files and its service."""

    def __init__(self, folder: Path, show: Show = lambda line: None) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._show = show
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ("PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS")
        }
        self.environment = {
            **inherited,
            "PYTHONUNBUFFERED": "1",
            "SERVE_PORT": str(self.port),
            "GIT_AUTHOR_NAME": "demo",
            "GIT_AUTHOR_EMAIL": "demo@localhost",
            "GIT_COMMITTER_NAME": "demo",
            "GIT_COMMITTER_EMAIL": "demo@localhost",
        }

    def run(self, *command: str) -> str:
        """Run a command in the project with its environment active; returns what it printed.

        Raises `CommandFailed` when it ends with a code other than 0.
        """
        active = {"PATH": f"{self.folder / '.venv/bin'}{os.pathsep}{self.environment['PATH']}"}
        lines: list[str] = []
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment | active,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout
            for line in process.stdout:
                lines.append(line)
                self._show(line.rstrip("\n"))
        if process.returncode:
            raise CommandFailed(
                f"`{' '.join(command)}` ended with {process.returncode}:\n{''.join(lines[-30:])}"
            )
        return "".join(lines)

    def make(self, *arguments: str) -> str:
        """Run a make target."""
        return self.run("make", "--no-print-directory", *arguments)

    def json(self, path: str) -> Any:
        """A JSON file of the project."""
        return json.loads((self.folder / path).read_text(encoding="utf-8"))

    def lines(self, path: str) -> list[Any]:
        """A file of JSON lines of the project."""
        text = (self.folder / path).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def get(self, path: str) -> Any:
        """The service's JSON answer to a GET."""
        with urllib.request.urlopen(self.address + path, timeout=30) as reply:
            return json.load(reply)

    def post(self, path: str, body: object) -> Any:
        """The service's JSON answer to a POST."""
        request = urllib.request.Request(self.address + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[bytes]]:
        """`make serve`, from the first ready answer on; stopped and gone at the end."""
        log = self.folder / "var/serve.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["make", "--no-print-directory", "serve"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.wait(lambda: bool(self.get("/health/ready")), process, log)
            yield process
        finally:
            _stop(process)

    def wait(
        self,
        condition: Callable[[], bool],
        process: subprocess.Popen[bytes] | None = None,
        log: Path | None = None,
    ) -> float:
        """Ask until the condition holds; returns the seconds it took.

        Raises `CommandFailed` when the process ends before, or after `PATIENCE`.
        """
        began = time.perf_counter()
        while time.perf_counter() - began < PATIENCE:
            if process and process.poll() is not None:
                raise CommandFailed(f"the service ended early:\n{log and log.read_text()}")
            try:
                if condition():
                    return time.perf_counter() - began
            except OSError:
                pass  # not listening yet
            time.sleep(0.05)  # between two readiness checks
        raise CommandFailed(f"waited {PATIENCE:.0f} s in vain")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a session's processes in good order; kill what does not go within ten seconds."""
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        if not _alive(process.pid):
            break
        os.killpg(process.pid, number)
        began = time.perf_counter()
        while _alive(process.pid) and time.perf_counter() - began < patience:
            process.poll()
            time.sleep(0.05)
    process.wait()


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def remove(folder: Path) -> None:
    """Remove a folder that a former run has left."""
    shutil.rmtree(folder, ignore_errors=True)
