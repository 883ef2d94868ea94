"""Taking the example out of a project: everything that knows of the table it was born with.

The example is what conf/config.yaml chooses as `data`. Its source and its tests lie in folders of
their own, its notebook cells are tagged, and its part of README.md stands between two marks.
"""

import json
import re
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ..cli import Refusal
from .changes import Changes

CONFIG = Path("conf/config.yaml")
CHOSEN = re.compile(r"^ *- data: (\S+)", re.MULTILINE)
MADE = ("data/raw", "data/split", "models", "reports", "dvc.lock", "params.json", "schema.json")
NOTEBOOKS = Path("notebooks")
README = Path("README.md")
MARKED = re.compile(r"<!-- example -->\n.*?<!-- /example -->\n", re.DOTALL)
REQUIREMENT = re.compile(r'^ *"([A-Za-z0-9._-]+)[^"\n]*", # the example\'s data\n', re.MULTILINE)


def remove(changes: Changes, package: Path, in_its_place: str) -> None:
    """Note all removals in `changes`; `in_its_place` is what README.md says instead.

    Raises `Refusal` when the project does not look as it was baked.
    """
    name = chosen()
    settings: Any = OmegaConf.to_container(OmegaConf.load(Path(f"conf/data/{name}.yaml")))
    changes.remove(Path(f"conf/data/{name}.yaml"))
    for path in _code(str(settings.get("source", {}).get("_target_", "")), package):
        changes.remove(path)
    for made in MADE:
        changes.remove(Path(made))
    _notebooks(changes)
    _requirement(changes)
    text = changes.text(README)
    if MARKED.search(text):
        block = f"<!-- example -->\n{in_its_place}<!-- /example -->\n"
        changes.write(README, MARKED.sub(lambda _: block, text, 1))


def chosen() -> str:
    """Name of the table that the project is about."""
    found = CHOSEN.search(CONFIG.read_text(encoding="utf-8"))
    if not found or not Path(f"conf/data/{found[1]}.yaml").exists():
        raise Refusal(f"{CONFIG} chooses no file of conf/data/; write `- data: <name>` there")
    return found[1]


def _code(target: str, package: Path) -> list[Path]:
    """The folder of a source that has one of its own, and the folder of its tests."""
    path = target.split(".")
    if len(path) < 5 or path[1] != "sources":
        return []
    return [package / "sources" / path[2], Path("tests/sources") / path[2]]


def _notebooks(changes: Changes) -> None:
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        notebook = json.loads(text)
        cells = notebook["cells"]
        kept = [cell for cell in cells if "example" not in cell["metadata"].get("tags", [])]
        if len(kept) < len(cells):
            notebook["cells"] = kept
            changes.write(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def _requirement(changes: Changes) -> None:
    """The package that brings the example's data: its line, and its block in the lock files."""
    project = Path("pyproject.toml")
    text = project.read_text(encoding="utf-8")
    found = REQUIREMENT.search(text)
    if not found:
        return
    changes.write(project, text.replace(found[0], ""))
    block = re.compile(rf"^{re.escape(found[1].lower())}==.*\n(?:[ \t]+.*\n)*", re.MULTILINE)
    for lock in sorted(Path("locks").glob("*.txt")):
        locked = lock.read_text(encoding="utf-8")
        if block.search(locked):
            changes.write(lock, block.sub("", locked))
