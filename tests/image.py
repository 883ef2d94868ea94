"""The steps of a Dockerfile taken on this machine: its files, commands, variables and user.

Few places where tests run have a container engine. The image's top folders lie below a folder of
the test's; what the base image brings (`python`, `pip`) comes from this machine.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.project import CommandFailed

PLACES = re.compile(r"(?<![\w./])/(app|venv)\b")  # the folders that the Dockerfile makes
SUPPORTED = "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))"


@dataclass
class Image:
    """What the last stage of a Dockerfile leaves: files below `root`, and how they are started."""

    root: Path
    folder: Path = field(init=False)
    environment: dict[str, str] = field(default_factory=dict)
    user: int = 0
    group: int = 0
    command: list[str] = field(default_factory=list)
    check: list[str] = field(default_factory=list)

    def identity(self) -> dict[str, Any]:
        """Arguments that make a process the image's user, where this one may do that."""
        if os.geteuid():
            return {}
        return {"user": self.user, "group": self.group, "extra_groups": []}

    def run(self, command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside, with the image's variables and no others of this machine."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **self.identity(),
        )

    @contextmanager
    def started(self, log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """The image's command with more variables; gone at the end in any case."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self.identity(),
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)
            process.wait()


def interpreter(user: int) -> str | None:
    """A supported Python that a user may start: this one may lie in root's home, closed to others.

    None when there is none.
    """
    identity: dict[str, Any] = {} if os.geteuid() else {"user": user, "extra_groups": []}
    folders = [Path(sys.executable).resolve().parent, *map(Path, os.get_exec_path())]
    for python in (folder / "python3" for folder in folders):
        try:
            done = subprocess.run(
                [str(python), "-c", SUPPORTED],
                cwd="/",
                capture_output=True,
                check=False,
                **identity,
            )
        except OSError:
            continue
        if done.returncode == 0:
            return str(python)
    return None


def build(dockerfile: Path, context: Path, root: Path, python: str) -> Image:
    """Take the steps; each stage lies in `root`, whose paths it may remember, until it is done.

    Raises `CommandFailed` when a command of the Dockerfile fails.
    """
    base = root / "base"
    subprocess.run([sys.executable, "-m", "venv", base], check=True)
    machine = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS"))
    }
    machine |= {"PATH": f"{base}/bin{os.pathsep}{machine['PATH']}", "UV_PYTHON": python}
    stages: dict[str, Path] = {}
    arguments: dict[str, str] = {}
    image = Image(root)
    current = ""

    def here(text: str) -> str:
        for argument, default in arguments.items():
            text = text.replace(f"${argument}", default)
        return PLACES.sub(rf"{root}/\1", text)

    for name, value in _instructions(dockerfile):
        match name:
            case "FROM":
                if current:
                    _set_aside(root, stages.setdefault(current, root / f"stage-{current}"))
                current = value.partition(" AS ")[2]
                image = Image(root)
            case "ARG":
                argument, _, default = value.partition("=")
                arguments[argument] = default
            case "WORKDIR":
                image.folder = Path(here(value))
                image.folder.mkdir(parents=True)
            case "ENV":
                for pair in value.split():
                    key, _, text = pair.partition("=")
                    image.environment[key] = here(text).replace("$PATH", "/usr/bin:/bin")
            case "COPY":
                _copy(here(value), context, stages, image.folder, root)
            case "RUN":
                done = subprocess.run(
                    ["sh", "-e", "-c", here(value)],
                    cwd=image.folder,
                    env=machine | image.environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if done.returncode:
                    raise CommandFailed(f"RUN {value}\n{done.stdout}{done.stderr}")
            case "USER":
                image.user, image.group = map(int, value.split(":"))
            case "HEALTHCHECK":
                image.check = json.loads(value.partition(" CMD ")[2])
            case "CMD":
                image.command = json.loads(value)
            case "EXPOSE":
                pass
            case _:
                raise AssertionError(f"{name}: a step that is not known here")
    for path in (path for place in (image.folder, root / "venv") for path in place.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)  # the root file system is read-only
    return image


def _instructions(dockerfile: Path) -> Iterator[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for line in filter(None, text.replace("\\\n", " ").splitlines()):
        name, _, value = line.partition(" ")
        yield name, value.strip()


def _set_aside(root: Path, stage: Path) -> None:
    stage.mkdir()
    for place in ("app", "venv"):
        if (root / place).exists():
            (root / place).rename(stage / place)


def _copy(value: str, context: Path, stages: Mapping[str, Path], folder: Path, root: Path) -> None:
    *options, target = value.split()
    source = context
    if options[0].startswith("--from="):
        source = stages[options.pop(0).removeprefix("--from=")]
    to = folder / target
    for name in options:
        found = source / name.removeprefix(f"{root}/")
        if found.is_dir():
            ignored = shutil.ignore_patterns("__pycache__") if source == context else None
            shutil.copytree(found, to, symlinks=True, ignore=ignored)
        else:
            place = to / found.name if target.endswith("/") else to
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, place)
