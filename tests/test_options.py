"""Every pair of answers makes a tidy project whose checks pass, without what was not chosen."""

import json
import re
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path
from typing import NamedTuple

import pytest

from demo.project import TEMPLATE, Project, bake

from . import test_baked_files as form
from . import test_baked_promises as promises
from .conftest import Lived
from .inside import SLOW, borrowed, ignored

QUESTIONS = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
CHOICES = {name: value for name, value in QUESTIONS.items() if isinstance(value, list)}
del CHOICES["_copy_without_render"]
OFF = {name: answers[-1] for name, answers in CHOICES.items()} | {"dvc_remote": "local"}
ON = {name: answers[0] for name, answers in CHOICES.items()} | {"dvc_remote": "s3"}

# What nothing may speak of in a project without it.
TRACES = {
    ("retraining", "cron"): r"GitHub Actions|(?:retrain|drift)\.yml|\bci-[a-z]+|\bproposal",
    ("retraining", "github-actions"): r"\bcron(?!:)|crontab|\bunattended\.py",
    ("containers", "no"): r"(?i)docker|kube(?:rnetes|ctl)|grafana|promtool|compose\.yaml|alerts\.y",
    ("notebook", "no"): r"(?i)notebook|\bipynb|nbclient|nbformat|ipykernel|jupyter",
    ("license", "none"): r"(?i)\blicen[cs]e\b",
}
REMOTES = {kind: rf"dvc-{kind}\b" for kind in CHOICES["dvc_remote"] if kind != "local"}


class Option(NamedTuple):
    """Answers, and the project they make."""

    answers: dict[str, str]
    project: Project

    @property
    def folder(self) -> Path:
        return self.project.folder


def pairs(answers: dict[str, str]) -> set[tuple[tuple[str, str], ...]]:
    """Every two answers of a set of answers."""
    return set(combinations(answers.items(), 2))


def all_pairs() -> list[dict[str, str]]:
    """Few sets of answers that hold every pair: always the one with most of what is missing."""
    possible = [dict(zip(CHOICES, answers, strict=True)) for answers in product(*CHOICES.values())]
    missing = set().union(*map(pairs, possible))
    chosen = [OFF, ON]
    missing -= pairs(OFF) | pairs(ON)
    while missing:
        chosen.append(max(possible, key=lambda answers: len(pairs(answers) & missing)))
        missing -= pairs(chosen[-1])
    return chosen


MATRIX = all_pairs()


@pytest.fixture(scope="module", params=MATRIX, ids=lambda answers: "-".join(answers.values()))
def option(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Option:
    """A project baked with one row of the matrix."""
    folder = bake(tmp_path_factory.mktemp("option") / "out", template, **request.param)
    return Option(request.param, borrowed(folder))


@pytest.fixture
def equipped(option: Option, life: Lived) -> Iterator[Option]:
    """The same, lent the environment of another project with all that tests and checks need."""
    life.project.make(".venv/.dev")
    link = option.folder / ".venv"
    link.symlink_to(life.project.folder / ".venv")
    yield option
    link.unlink()


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Path and text of every file of a project."""
    for path in form.files(folder):
        yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")


def test_few_questions_are_asked_and_the_readme_says_how_many() -> None:
    asked = [name for name in QUESTIONS if not name.startswith("_")]
    assert len(asked) == 9
    assert set(QUESTIONS["__prompts__"]) == set(asked)
    for name, answers in CHOICES.items():
        said = QUESTIONS["__prompts__"][name]
        assert isinstance(said, str) or set(said) == {"__prompt__", *answers}
    assert "Nine questions are asked" in (TEMPLATE / "README.md").read_text(encoding="utf-8")


def test_the_matrix_holds_every_pair_of_answers() -> None:
    held = set().union(*map(pairs, MATRIX))
    for (one, some), (other, more) in combinations(CHOICES.items(), 2):
        assert {((one, x), (other, y)) for x in some for y in more} <= held
    assert len(MATRIX) <= 25


def test_the_files_are_tidy_parse_and_name_nothing_foreign(option: Option) -> None:
    form.test_files_are_tidy(option.folder)
    form.test_every_file_with_a_parser_parses_into_something(option.folder)
    form.test_no_key_of_a_yaml_file_has_lost_its_values(option.folder)
    form.test_nothing_of_the_template_language_remains(option.folder)
    form.test_the_makefile_has_no_line_of_blanks_or_doubled_blank_line(option.folder)
    for kind in form.FOREIGN:
        form.test_nothing_foreign_is_named(kind, option.folder)
    folders = [path for path in option.folder.rglob("*/") if ".git" not in path.parts]
    assert [path for path in folders if not any(path.iterdir())] == []


def test_the_files_keep_their_promises_to_each_other(option: Option) -> None:
    promises.test_every_target_is_phony_and_every_phony_target_is_there(option.folder)
    promises.test_help_has_a_sentence_for_every_command(option.folder)
    promises.test_every_target_starts_a_module_that_exists(option.folder)
    promises.test_the_readme_speaks_of_commands_and_paths_that_exist("project", option.folder)
    promises.test_the_tree_in_the_readme_is_the_tree(option.folder)
    promises.test_the_makefile_and_the_workflows_name_files_that_exist(option.folder)
    promises.test_the_locks_hold_what_the_project_asks_for(option.folder)
    promises.test_workflows_are_pinned_frugal_and_call_make("project", option.folder)


def test_what_was_not_chosen_leaves_no_trace(option: Option) -> None:
    unwanted = [words for (name, no), words in TRACES.items() if option.answers[name] == no]
    kind = option.answers["dvc_remote"]
    for path, text in texts(option.folder):
        # A lock holds what the tools depend on, under names of its own; it is looked at below.
        # `make adopt` takes the example out of whatever is there, a notebook, too.
        aside = path.startswith("locks/") or "/adopt/" in path
        for words in unwanted if not aside else []:
            found = re.search(words, f"{path}\n{text}")
            assert not found, f"{path}: {found and found[0]!r}"
        for other, words in REMOTES.items():
            if other != kind and not (kind == "local" and path == "README.md"):  # says how to grow
                found = re.search(words, text)
                assert not found, f"{path}: {found and found[0]!r}"


def test_what_was_chosen_is_there(option: Option) -> None:
    answers, folder = option.answers, option.folder
    assert (folder / "LICENSE").exists() == (answers["license"] != "none")
    for path in (".github/workflows/retrain.yml", ".github/workflows/drift.yml"):
        assert (folder / path).exists() == (answers["retraining"] != "cron")
    for target in ("cron-install", "cron-remove"):
        there = answers["retraining"] != "github-actions"
        assert (target in promises.targets(folder)) == there
    for path in ("deploy/Dockerfile", "deploy/compose.yaml", "deploy/kubernetes", ".dockerignore"):
        assert (folder / path).exists() == (answers["containers"] == "yes")
    for path in ("notebooks", "locks/notebook.txt", "tests/test_notebook.py"):
        assert (folder / path).exists() == (answers["notebook"] == "yes")
    assert (folder / "locks/remote.txt").exists() == (answers["dvc_remote"] != "local")


def test_only_what_a_secret_must_be_is_one(option: Option) -> None:
    # The large stores take a token of GitHub's for a short-lived key; SSH does not.
    workflow = option.folder / ".github/workflows/retrain.yml"
    if not workflow.exists():
        return
    text = workflow.read_text(encoding="utf-8")
    kind = option.answers["dvc_remote"]
    asked = [*{"ssh": ["SSH_KEY"]}.get(kind, []), "ALERT_URL"]
    assert re.findall(r"secrets\.(\w+)", text) == asked
    assert ("id-token: write" in text) == (kind in ("s3", "gs", "azure"))


def test_the_workflow_hands_on_what_the_remote_asks_for(option: Option) -> None:
    if option.answers["retraining"] == "cron":
        return
    folder = option.folder / ".github/workflows"
    text = "".join((folder / f"{name}.yml").read_text() for name in ("retrain", "drift"))
    handed = set(re.findall(r"^ {6}(\w+): \$\{\{ (?:vars|secrets)\.\1 \}\}$", text, re.M))
    makefile = (option.folder / "Makefile").read_text(encoding="utf-8")
    assert handed == set(re.findall(r'test -n "\$\$(\w+)"', makefile))
    assert len(handed) >= 2
    assert handed <= set(re.findall(r"`(\w+)`", (option.folder / "docs/schedules.md").read_text()))


def test_the_locks_agree_with_each_other(option: Option) -> None:
    # They are installed into one environment, one after the other.
    makefile = (option.folder / "Makefile").read_text(encoding="utf-8")
    names = re.findall(r"^(?:DEV_)?LOCKS \+?:?= (\S+)$", makefile, re.MULTILINE)
    asked_for = {"boosting.txt", "cluster.txt"}  # by a line more in the Makefile
    apart = {"serve.txt", "serve-native.txt", "uv.txt", *asked_for}
    present = {path.name for path in (option.folder / "locks").glob("*.txt")}
    assert {f"locks/{name}" for name in present - apart} == set(names)
    pins: dict[str, list[set[str]]] = {}
    for name in [*names, *(f"locks/{name}" for name in sorted(asked_for))]:
        text = (option.folder / name).read_text(encoding="utf-8")
        held: dict[str, set[str]] = {}  # some packages have a version for each Python
        for package, version in re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)", text, re.MULTILINE):
            held.setdefault(package, set()).add(version)
        for package, versions in held.items():
            pins.setdefault(package, []).append(versions)
    differ = {
        name for name, found in pins.items() if not all(x <= max(found, key=len) for x in found)
    }
    assert differ == set()


def test_style_format_and_types_are_clean(
    equipped: Option, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = tmp_path_factory.getbasetemp() / "mypy"  # shared: most files are the same
    assert "All checks passed!" in equipped.project.run("ruff", "check", "--no-cache")
    equipped.project.run("ruff", "format", "--check", "--no-cache")
    said = equipped.project.run("mypy", "--cache-dir", str(cache))
    assert "Success: no issues found" in said
    assert "unused section" not in said


@pytest.mark.parametrize("answers", [OFF, ON], ids=["off", "on"])
def test_the_tests_that_look_at_files_pass_in_the_extremes(
    answers: dict[str, str], life: Lived, template: Path, tmp_path: Path
) -> None:
    life.project.make(".venv/.dev")
    folder = bake(tmp_path / "out", template, **answers)
    (folder / ".venv").symlink_to(life.project.folder / ".venv")
    passed(borrowed(folder).run("pytest", "-p", "no:cacheprovider", *ignored(SLOW)))


@pytest.mark.full
def test_the_projects_tests_pass(equipped: Option, baked: Path) -> None:
    # What is the same, byte for byte, in the project whose tests all run is not tried again.
    # That a module which was not chosen is missed by nobody, the types of each row tell.
    folder = equipped.folder
    names = [path.relative_to(folder) for path in form.files(folder) if is_tested(path, folder)]
    same = all(
        (baked / name).exists() and (baked / name).read_bytes() == (folder / name).read_bytes()
        for name in names
    )
    assert len(names) > 200
    passed(equipped.project.run("pytest", "-p", "no:cacheprovider", *ignored(SLOW if same else [])))


def is_tested(path: Path, folder: Path) -> bool:
    """Whether a file is code, configuration or a test that is slow, or helps such tests."""
    name = path.relative_to(folder)
    if name.parts[0] == "tests":
        slow = any(name.is_relative_to(one) for one in SLOW)
        return slow or not name.name.startswith("test_")
    return name.parts[0] in ("src", "conf", "dvc.yaml")


def passed(said: str) -> None:
    """Many tests passed, and none failed."""
    (number,) = re.findall(r"^(\d+) passed", said, re.MULTILINE)
    assert int(number) > 50, said
    assert not re.search(r"\b(failed|errors?)\b", said.splitlines()[-1])
