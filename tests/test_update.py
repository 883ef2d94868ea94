"""A project follows a newer template: `cruft update` merges it with what its owner has edited."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .conftest import Lived, git
from .inside import borrowed

PACKAGE = "src/flight_delays"
TEMPLATES = "src/{{cookiecutter.__package}}"
FEATURES = '''"""Features of our own."""


def share(part: float, whole: float) -> float:
    """The part of a whole; 0 where there is none."""
    return part / whole if whole else 0.0
'''


class Pair(NamedTuple):
    """A template under git, and a project made from its first commit; both may move on."""

    template: Path
    project: Path

    def cruft(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of cruft in the project."""
        return run("cruft", *arguments, cwd=self.project)


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    home = cwd.parent / "home"
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD").strip()


def edit(path: Path, old: str, new: str) -> None:
    """Replace the first place of a text that must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def append(path: Path, lines: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(lines)


def cells(path: Path) -> list[Any]:
    return list(json.loads(path.read_text(encoding="utf-8"))["cells"])


@pytest.fixture
def pair(template: Path, tmp_path: Path) -> Pair:
    """The template of today, and a project made from it whose owner has begun to work."""
    source = tmp_path / "template"
    shutil.copytree(template, source)
    git(source, "init", "--quiet")
    commit(source, "The previous release")
    done = run("cruft", "create", str(source), "--no-input", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = Pair(source, tmp_path / "flight-delays")
    commit(found.project, "As generated")
    work(found.project)
    commit(found.project, "Our work")
    return found


def work(project: Path) -> None:
    """What owners do: settings, a model, a feature with its test, words, a cell, a dependency."""
    edit(project / "conf/gate/default.yaml", "min_skill: ", "min_skill: 0.123 # was ")
    shutil.copy(project / "conf/model/random_forest.yaml", project / "conf/model/ours.yaml")
    edit(project / "conf/config.yaml", "model: hist_gradient_boosting", "model: ours")
    append(project / "conf/arrived.yaml", '  - "2013-07"\n')
    append(project / f"{PACKAGE}/custom/features.py", FEATURES)
    edit(project / "README.md", "\n## A day with it\n", "\nAsk Ann about it.\n\n## A day with it\n")
    notebook = json.loads((project / "notebooks/explore.ipynb").read_text(encoding="utf-8"))
    own = {"cell_type": "markdown", "id": "ours", "metadata": {}, "source": ["Our own look."]}
    notebook["cells"].append(own)
    text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    (project / "notebooks/explore.ipynb").write_text(text, encoding="utf-8")
    edit(project / "Makefile", "PYTHON ?= python3\n", "PYTHON ?= python3.12\n")


def move_on(template: Path) -> str:
    """The next release: files of all kinds change, some come, some go; a question is added."""
    folder = template / "{{cookiecutter.project_slug}}"
    append(folder / "conf/gate/default.yaml", "min_rows: 100 # fewer prove nothing\n")
    edit(folder / "conf/config.yaml", "\ndefaults:\n", "\n# The table of contents.\ndefaults:\n")
    edit(folder / f"{TEMPLATES}/cli.py", '"""', '"""Said better. ')
    append(folder / f"{TEMPLATES}/newcomer.py", '"""A module that was not there before."""\n')
    (folder / "tests/test_address.py").unlink()
    edit(folder / "pyproject.toml", '  "joblib>=1.4",\n', '  "joblib>=1.4",\n  "newcomer>=1",\n')
    edit(folder / "README.md", "\n## Where things are\n", "\nGreet.\n\n## Where things are\n")
    append(folder / "Makefile", "\ngreet: ## say hello\n\t@echo hello\n")
    edit(folder / "notebooks/explore.ipynb", '"source": [\n    "', '"source": [\n    "New. ')
    edit(
        template / "cookiecutter.json", '"containers"', '"colour": ["red", "blue"],\n  "containers"'
    )
    return commit(template, "The next release")


def test_edits_of_the_owner_and_of_the_template_are_merged(pair: Pair, life: Lived) -> None:
    release = move_on(pair.template)

    done = pair.cruft("update", "--skip-apply-ask")

    assert done.returncode == 0, done.stdout + done.stderr
    project = pair.project
    assert git(project, "diff", "--name-only", "--diff-filter=U") == ""
    assert not [*project.rglob("*.rej"), *project.rglob("*.orig")]
    told = json.loads((project / ".cruft.json").read_text(encoding="utf-8"))
    assert told["commit"] == release
    assert told["context"]["cookiecutter"]["colour"] == "red"
    text = {name: (project / name).read_text(encoding="utf-8") for name in changed(project)}
    assert not [
        name for name, found in text.items() if re.search(r"^(<<<<<<<|>>>>>>>)", found, re.M)
    ]
    for name, owners, templates in [
        ("conf/gate/default.yaml", "min_skill: 0.123 #", "min_rows: 100 #"),
        ("conf/config.yaml", "model: ours", "# The table of contents."),
        ("README.md", "Ask Ann about it.", "\nGreet.\n"),
        ("Makefile", "PYTHON ?= python3.12", "greet: ## say hello"),
        ("notebooks/explore.ipynb", "Our own look.", '"New. '),
    ]:
        assert owners in text[name], name
        assert templates in text[name], name
    assert cells(project / "notebooks/explore.ipynb")[-1]["id"] == "ours"
    assert '  - "2013-07"' in (project / "conf/arrived.yaml").read_text(encoding="utf-8")
    assert (project / "conf/model/ours.yaml").exists()
    assert (project / f"{PACKAGE}/custom/features.py").read_text(encoding="utf-8") == FEATURES
    assert '"newcomer>=1"' in text["pyproject.toml"]
    assert "Said better." in text[f"{PACKAGE}/cli.py"]
    assert (project / f"{PACKAGE}/newcomer.py").exists()
    assert not (project / "tests/test_address.py").exists()

    commit(project, "The next release of the template")
    (project / ".venv").symlink_to(life.project.folder / ".venv")
    life.project.make(".venv/.dev")
    lent = borrowed(project)
    assert "All checks passed!" in lent.run("ruff", "check", "--no-cache")
    lent.run("ruff", "format", "--check", "--no-cache")
    assert "Success" in lent.run("mypy", "--cache-dir", str(project.parent / "mypy"))


def changed(project: Path) -> list[str]:
    """Files that an update has changed or brought; what has gone is not among them."""
    git(project, "add", "--all")
    return git(project, "diff", "--cached", "--name-only", "--diff-filter=d").splitlines()


def test_an_update_without_anything_new_changes_nothing(pair: Pair) -> None:
    done = pair.cruft("update", "--skip-apply-ask")

    assert "already up to date" in done.stdout
    assert git(pair.project, "status", "--porcelain") == ""
    assert git(pair.project, "ls-files", ".cruft.json") == ".cruft.json\n"


@pytest.mark.parametrize("path", ["README.md", "notes.txt"])
def test_an_update_is_refused_while_something_is_not_committed(path: str, pair: Pair) -> None:
    move_on(pair.template)
    append(pair.project / path, "Not yet committed.\n")
    before = git(pair.project, "stash", "create"), git(pair.project, "status", "--porcelain")

    done = pair.cruft("update", "--skip-apply-ask")

    assert done.returncode != 0
    assert "unclean git project" in done.stdout
    assert git(pair.project, "status", "--porcelain") == before[1]
    assert (pair.project / path).read_text(encoding="utf-8").endswith("Not yet committed.\n")


def test_what_was_chosen_can_be_left_out_later(pair: Pair) -> None:
    answers = '{"containers": "no", "retraining": "cron"}'

    done = pair.cruft("update", "--skip-apply-ask", "--variables-to-update", answers)

    assert done.returncode == 0, done.stdout + done.stderr
    for path in (
        "deploy/Dockerfile",
        "tests/deploy/test_image.py",
        ".github/workflows/retrain.yml",
    ):
        assert not (pair.project / path).exists()
    assert "image:" not in (pair.project / "Makefile").read_text(encoding="utf-8")
    assert (pair.project / "deploy/systemd").is_dir()
    assert (pair.project / f"{PACKAGE}/custom/features.py").exists()
