"""The form of every baked file: it parses, is tidy, names nothing foreign and reaches git."""

import json
import re
import shutil
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from demo.project import TEMPLATE, bake

from .conftest import carried, git
from .test_answers import LONGEST

TOP = [
    ".dockerignore",
    ".dvc",
    ".dvcignore",
    ".git",
    ".github",
    ".gitignore",
    "LICENSE",
    "Makefile",
    "README.md",
    "conf",
    "deploy",
    "docs",
    "dvc.yaml",
    "locks",
    "notebooks",
    "pyproject.toml",
    "src",
    "tests",
]
MAY_BE_EMPTY = ("__init__.py", "py.typed", ".gitkeep")
FOREIGN = {
    "a registry's host": r"\b(?:ghcr|docker|quay|gcr|azurecr)\.io\b|\bamazonaws\.com\b",
    "an index's address": r"\bpy(?:pi|thonhosted)\.org\b|--(?:extra-)?index-url",
    "a home folder": r"/home/|/Users/|/root/|\$HOME|~/|[A-Z]:\\",
    "an absolute path": r"(?<![\w./:}-])/(?:work|tmp|opt|usr(?!/bin/env)|etc|mnt|srv)\b",
    "a peer": r"(?i)\b(?:fmind|kiselyov|databricks|zenml|kedro|bikes|drivendata)",
}


def files(folder: Path) -> list[Path]:
    """The files of a baked project without those of git itself."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts[:1]
    )


def parsed(path: Path) -> object:
    """What a file of a format with a parser holds."""
    text = path.read_text(encoding="utf-8")
    match path.suffix:
        case ".yaml" | ".yml":
            return yaml.safe_load(text)
        case ".toml":
            return tomllib.loads(text)
        case _:
            return json.loads(text)


def test_the_top_level_holds_what_it_should_and_no_stray_entry(baked: Path) -> None:
    assert sorted(path.name for path in baked.iterdir()) == TOP


def test_every_file_with_a_parser_parses_into_something(baked: Path) -> None:
    # KIS 1a: params.yaml was no YAML. FCC 2: confs of 0 bytes.
    found = [
        path
        for path in files(baked)
        if path.suffix in (".yaml", ".yml", ".toml", ".json", ".ipynb")
    ]
    assert len(found) > 12
    for path in found:
        content = parsed(path)
        assert isinstance(content, dict), path
        assert content, path


def test_no_key_of_a_yaml_file_has_lost_its_values(baked: Path) -> None:
    # KIS 1a: indentation eaten by Jinja left `model:` empty and its keys at the top level.
    events = {"workflow_dispatch", "pull_request"}  # GitHub's way to say: without settings

    def lost(node: yaml.Node | None) -> list[str]:
        if isinstance(node, yaml.SequenceNode):
            return [name for item in node.value for name in lost(item)]
        if not isinstance(node, yaml.MappingNode):
            return []
        names = [key.value for key, _ in node.value]
        assert len(names) == len(set(names)), f"keys twice: {names}"
        return [
            name
            for key, value in node.value
            for name in ([key.value] if value.value == "" and value.style is None else lost(value))
        ]

    for path in files(baked):
        if path.suffix in (".yaml", ".yml"):
            assert set(lost(yaml.compose(path.read_text(encoding="utf-8")))) <= events, path


def test_nothing_of_the_template_language_remains(baked: Path) -> None:
    for path in files(baked):
        text = path.read_text(encoding="utf-8")
        for trace in ("cookiecutter.", "{{ cookiecutter", "{{cookiecutter", "{%", "{#"):
            assert trace not in text, f"{trace} in {path}"
        assert "cookiecutter" not in path.as_posix().removeprefix(baked.as_posix())


def test_workflows_keep_the_expressions_of_github(baked: Path) -> None:
    text = (baked / ".github/workflows/retrain.yml").read_text(encoding="utf-8")
    assert "${{ vars.MLFLOW_TRACKING_URI }}" in text
    for path in (baked / ".github/workflows").iterdir():
        assert not re.search(r"(?<!\$)\{\{", path.read_text(encoding="utf-8")), path


def test_files_are_tidy(baked: Path) -> None:
    # CCDS 9: stray blank and tab lines. FCC 2: empty files that looked like configuration.
    for path in files(baked):
        text = path.read_text(encoding="utf-8")
        if not text:
            assert path.name in MAY_BE_EMPTY, f"{path} is empty"
            continue
        assert text.strip(), path
        assert "\r" not in text, path
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert not text.startswith("\n"), path
        untidy = [n for n, line in enumerate(text.split("\n"), 1) if line != line.rstrip()]
        assert not untidy, f"{path}: blanks at the end of lines {untidy}"
        if path.suffix == ".md":
            text = re.sub(r"```python\n.*?```", "code", text, flags=re.DOTALL)
        limit = "\n\n\n\n" if path.suffix == ".py" else "\n\n\n"
        assert path.name == "LICENSE" or limit not in text, f"{path}: stray blank lines"


def test_the_makefile_has_no_line_of_blanks_or_doubled_blank_line(baked: Path) -> None:
    # CCDS 9.
    lines = (baked / "Makefile").read_text(encoding="utf-8").splitlines()
    assert not [n for n, line in enumerate(lines, 1) if line and not line.strip()]
    assert not [n for n, pair in enumerate(pairwise(lines), 1) if not any(pair)]


@pytest.mark.parametrize("kind", FOREIGN)
def test_nothing_foreign_is_named(kind: str, baked: Path) -> None:
    # FCC 2: publish.yml named the author's own image at ghcr.io.
    for path in files(baked):
        # A lock names whatever the tools depend on; it is held to hashes elsewhere.
        # deploy/ names places of the machines and containers it is for.
        elsewhere = kind == "an absolute path" and path.is_relative_to(baked / "deploy")
        skipped = elsewhere or path.name in (".gitignore", "LICENSE")
        if not skipped and path.parent.name != "locks":
            found = re.search(FOREIGN[kind], path.read_text(encoding="utf-8"))
            assert not found, f"{path.relative_to(baked)}: {found and found[0]!r}"


def test_a_project_of_another_name_names_the_default_one_nowhere(
    template: Path, tmp_path: Path
) -> None:
    # FCC 2 (another project's image name), SKA 7 (README said `project_name`).
    folder = bake(tmp_path / "out", template, project_name="Zebra Crossing")
    for path in files(folder):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?i)flight[-_ ]?delays|project[-_ ]name", text), path
        assert "flight-delays" not in path.relative_to(folder).as_posix()


@pytest.mark.parametrize("slug", ["flight-delays", "a-b", "zebra-crossing", "z" * LONGEST])
def test_style_and_format_are_clean_whatever_the_name_sorts_like(
    slug: str, baked: Path, template: Path, tmp_path: Path
) -> None:
    # ZEN needs a formatter's run after generation; SKA 7's bake was litter that no tool had read.
    folder = baked if slug == baked.name else bake(tmp_path / "out", template, project_slug=slug)
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            ["ruff", *command, "--no-cache"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"All checks passed|already formatted", done.stdout), done.stdout


def test_git_carries_every_file_and_dvc_keeps_the_data_out_of_it(
    baked: Path, tmp_path: Path
) -> None:
    # MML 8: `models/` in .gitignore kept a module out. KIS 1b: an output was tracked by git.
    copy = tmp_path / "copy"
    shutil.copytree(baked, copy)
    git(copy, "add", "--all")
    tracked = git(copy, "ls-files").splitlines()
    assert tracked == [path.relative_to(baked).as_posix() for path in files(baked)]
    stages = yaml.safe_load((copy / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    kinds = ("outs", "metrics", "plots")
    outs = [out for stage in stages.values() for kind in kinds for out in stage.get(kind, [])]
    assert len(outs) >= 9
    for out in outs:
        kept = isinstance(out, str)
        path = out if isinstance(out, str) else next(iter(out))
        ignored = subprocess.run(
            ["git", "check-ignore", "--quiet", path], cwd=copy, check=False
        ).returncode
        assert (ignored == 0) == kept, f"{path}: kept by DVC {kept}, ignored by git {ignored == 0}"
        assert not [name for name in tracked if name == path or name.startswith(f"{path}/")]


def test_git_carries_every_file_of_the_template() -> None:
    # MML 8. Caches that tools leave behind are no part of it.
    caches = ("__pycache__", ".ruff_cache", ".mypy_cache", ".pytest_cache")
    shipped = [
        path.relative_to(TEMPLATE).as_posix()
        for part in ("hooks", "demo", "tests", "{{cookiecutter.project_slug}}")
        for path in (TEMPLATE / part).rglob("*")
        if path.is_file() and not set(path.parts) & set(caches)
    ]
    assert set(shipped) - set(carried(TEMPLATE)) == set()


def test_the_bake_starts_a_repository_on_main(baked: Path) -> None:
    assert git(baked, "symbolic-ref", "HEAD") == "refs/heads/main\n"
    assert git(baked, "rev-parse", "--show-prefix") == "\n"
