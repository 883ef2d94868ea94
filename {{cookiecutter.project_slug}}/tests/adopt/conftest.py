"""A project as it was baked, to adopt tables in, with an example of its own."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from {{ cookiecutter.__package }} import paths
from {{ cookiecutter.__package }}.adopt import __main__ as command
from {{ cookiecutter.__package }}.adopt import example

from .. import project

KEPT = ("conf", "locks", "notebooks", "dvc.yaml", "pyproject.toml", "README.md")
PACKAGE = Path("src") / Path(paths.__file__).parent.name
GUEST = f"""\
# Everything about zebras.
source:
  _target_: {PACKAGE.name}.sources.zebras.source.Zebras
"""


@pytest.fixture
def baked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Inside a project whose example is about zebras."""
    folder = tmp_path / "project"
    for path in (project.ROOT / name for name in KEPT if (project.ROOT / name).exists()):
        name = path.name
        copy = shutil.copytree if path.is_dir() else shutil.copy2
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy(path, folder / name)
    with project.inside(folder):
        monkeypatch.setattr(paths, "PROJECT", folder)
        monkeypatch.setattr(command, "PACKAGE", folder / PACKAGE)
        born_with(example.chosen())
        yield folder


def born_with(before: str) -> None:
    """Put the zebras where an example lies."""
    (Path("conf/data") / f"{before}.yaml").unlink()
    Path("conf/data/zebras.yaml").write_text(GUEST)
    config = example.CONFIG.read_text(encoding="utf-8")
    example.CONFIG.write_text(config.replace(f"- data: {before}", "- data: zebras"))
    for path in (PACKAGE / "sources/zebras/source.py", Path("tests/sources/zebras/test_source.py")):
        path.parent.mkdir(parents=True)
        path.write_text("# zebras\n")
    (PACKAGE / "sources/folder.py").write_text("# stays\n")
    for name in ("data/raw/2013.parquet", "models/m", "reports/r", "dvc.lock", "params.json"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("zebras")
    text = Path("pyproject.toml").read_text(encoding="utf-8")
    text = example.REQUIREMENT.sub("", text)
    line = '  "zebras==1", # the example\'s data\n'
    Path("pyproject.toml").write_text(text.replace('  "duckdb', line + '  "duckdb', 1))
    for lock in (Path("locks/pipeline.txt"), Path("locks/dev.txt")):
        lock.write_text(
            lock.read_text() + "zebras==1 \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\n"
        )
    readme = Path("README.md").read_text(encoding="utf-8")
    about = "<!-- example -->\nHere are zebras.\n<!-- /example -->\n"
    Path("README.md").write_text(example.MARKED.sub("", readme) + about)
    cells = [
        {"cell_type": "markdown", "metadata": metadata, "source": [text]}
        for text, metadata in (("stays", {}), ("zebras", {"tags": ["example"]}))
    ]
    Path("notebooks").mkdir(exist_ok=True)
    Path("notebooks/explore.ipynb").write_text(json.dumps({"cells": cells}))


def conf(path: str) -> Any:
    """A file of conf/, as YAML."""
    return yaml.safe_load(Path("conf", path).read_text(encoding="utf-8"))
