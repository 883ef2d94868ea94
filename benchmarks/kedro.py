"""A peer: bake, environment and first run of a Kedro starter."""

import os
import shutil
import sys
from pathlib import Path

from .timing import timed

KEDRO = "kedro==1.7.0"


def measure(folder: Path, uv: str, starter: str) -> dict[str, float]:
    """Seconds of bake, environment (warm package cache) and first run, in a fresh folder.

    `starter` is a git address or a local folder of a starter. Installing Kedro itself is not
    counted, and a first environment that warms the package cache is thrown away.
    """
    folder.mkdir(parents=True)
    settings = folder / "cookiecutter.yaml"
    settings.write_text(f"replay_dir: {folder}/replay\ncookiecutters_dir: {folder}/clones\n")
    environment = {**os.environ, "COOKIECUTTER_CONFIG": str(settings), "DO_NOT_TRACK": "1"}

    def install(venv: Path, *what: str) -> list[list[str]]:
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(venv)],
            [uv, "pip", "install", "--quiet", "--python", str(venv), *what],
        ]

    timed(folder, environment, *install(folder / "tool", "--compile-bytecode", KEDRO))
    new = [str(folder / "tool/bin/kedro"), "new", f"--starter={starter}", "--name=peer"]
    bake = timed(folder, environment, new)
    project = folder / "peer"
    needs = ("-r", "requirements.txt")
    timed(project, environment, *install(folder / "warm", *needs))
    shutil.rmtree(folder / "warm")
    installed = timed(project, environment, *install(project / ".venv", *needs))
    run = timed(project, environment, [str(project / ".venv/bin/kedro"), "run"])
    return {"bake": bake, "environment": installed, "run": run}
