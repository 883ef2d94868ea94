"""dvc.yaml and the code say the same: what runs, what it reads, what it writes."""

import ast
from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.__package }} import paths
from {{ cookiecutter.__package }}.pipeline.compose import compose

from . import project

PACKAGE = Path(paths.__file__).parent
SOURCE = PACKAGE.relative_to(project.ROOT)
# Reading the configuration and writing files: what changes there does not change a result.
PLUMBING = {PACKAGE / f"{name}.py" for name in ("cli", "config", "files", "instantiate", "paths")}
ORDER = ["compose", "ingest", "validate", "split", "train", "evaluate"]
STAGES: dict[str, dict[str, Any]] = project.declared()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> set[Path]:
    """Modules of the package that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            inside = [base / x.name for x in node.names]
            names = [place.with_suffix(".py") for place in (base, *inside)]
            names += [place / "__init__.py" for place in inside]
            found |= {name for name in names if name.exists()}
    return found


def needed(path: Path) -> set[Path]:
    """Modules that a module's result depends on: itself, and what they import in turn.

    A module that needs sources needs all of them, because conf/ names the one it takes.
    """
    found, open_ = set(), {path}
    if PACKAGE / "sources/__init__.py" in imported(path):
        open_ |= {*(PACKAGE / "sources").rglob("*.py")}
    while open_:
        found |= open_
        open_ = {module for one in open_ for module in imported(one)} - found - PLUMBING
    return found


def sections(path: Path) -> set[str]:
    """First arguments of all calls of config.read in a module."""
    return {
        ast.literal_eval(node.args[0])
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "config.read"
    }


def constants(path: Path) -> set[str]:
    """Places that a module names as `paths.X`."""
    return {
        getattr(paths, node.attr).as_posix()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) == "paths"
        and node.attr.isupper()
    }


def calls(path: Path, function: str) -> bool:
    return any(
        isinstance(node, ast.Call) and ast.unparse(node.func) == function
        for node in ast.walk(tree(path))
    )


def module(stage: str) -> Path:
    return PACKAGE / "pipeline" / f"{stage}.py"


def test_every_stage_is_a_module_and_every_module_a_stage() -> None:
    assert list(STAGES)[: len(ORDER)] == ORDER  # after them the project's own
    modules = {path.stem for path in module("x").parent.glob("*.py")}
    assert modules - {"__init__"} == set(ORDER)


def test_the_walk_over_imports_finds_what_is_there() -> None:
    found = {path.relative_to(PACKAGE).as_posix() for path in needed(module("evaluate"))}
    modules = ("binary", "curves", "measures", "multiclass", "regression")
    tasks = {f"tasks/{name}.py" for name in modules}
    others = {"pipeline/evaluate.py", "features.py", "table.py", "tasks/__init__.py"}
    assert found == others | tasks


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_runs_its_module(stage: str) -> None:
    assert STAGES[stage]["cmd"] == f"python -m {PACKAGE.name}.pipeline.{stage}"


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_depends_on_all_code_that_makes_its_result(stage: str) -> None:
    declared = [project.ROOT / path for path in STAGES[stage]["deps"] if path.startswith("src/")]
    assert needed(module(stage)) <= {*declared, *(p for d in declared for p in d.rglob("*.py"))}
    assert all(path.exists() for path in declared)


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_depends_on_no_code_that_it_does_not_use(stage: str) -> None:
    declared = [project.ROOT / path for path in STAGES[stage]["deps"] if path.startswith("src/")]
    used = needed(module(stage))
    for path in declared:
        if not path.is_relative_to(PACKAGE / "custom"):  # which conf/ names
            assert any(one.is_relative_to(path) for one in used), path


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_lists_the_sections_it_reads(stage: str) -> None:
    assert set(project.read_by(STAGES[stage])) == sections(module(stage))


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_names_the_places_it_reads_and_writes(stage: str) -> None:
    others = ("src/", "conf", "locks")  # what a stage depends on without reading it as data
    deps = {path for path in STAGES[stage]["deps"] if not path.startswith(others)}
    named = constants(module(stage))
    if "data" in sections(module(stage)):
        named.add(paths.SCHEMA.name)  # config.read puts it into this section
    if calls(module(stage), "table.inputs"):
        named.add(paths.COLUMNS.as_posix())
    assert named == deps | set(project.made_by(STAGES[stage]))


def test_the_source_of_the_data_is_a_dependency_of_ingest() -> None:
    params = compose(project.ROOT / "conf", [])
    module = params["data"]["source"]["_target_"].rpartition(".")[0]
    place = SOURCE.parent.joinpath(*module.split("."))
    assert any(place.as_posix().startswith(path) for path in STAGES["ingest"]["deps"])


def test_every_output_has_one_stage_and_only_the_parameters_are_kept_in_git() -> None:
    outs = [out for stage in STAGES.values() for out in project.made_by(stage)]
    assert len(outs) == len(set(outs))
    kept = [out for name in ORDER for out in STAGES[name]["outs"] if isinstance(out, dict)]
    here = {"cache": False, "persist": True}
    assert kept == [{path.name: here} for path in (paths.PARAMS, paths.SCHEMA)]
