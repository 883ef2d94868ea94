from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from {{ cookiecutter.__package }} import paths

from . import customers, project

NOTEBOOK = project.ROOT / "notebooks/explore.ipynb"


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def is_example(cell: Any) -> bool:
    return "example" in cell.metadata.get("tags", [])


def test_it_is_kept_without_outputs() -> None:
    nbformat.validate(read())
    cells = [cell for cell in read().cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


def test_cells_about_the_example_come_last_and_are_tagged() -> None:
    tagged = [is_example(cell) for cell in read().cells]
    assert tagged == sorted(tagged)


def test_it_runs_and_shows_what_the_files_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partitions = sorted((project.ROOT / paths.RAW).glob("*.parquet"))
    if not partitions or not (project.ROOT / paths.METRICS).exists():
        pytest.skip("there are no data yet: run `dvc repro`")
    if not (project.ROOT / "var/mlflow.db").exists():
        monkeypatch.setenv("VAR_DIR", str(tmp_path))  # so that a test begins no registry
    notebook = read()
    resources = {"metadata": {"path": str(project.ROOT)}}
    NotebookClient(notebook, resources=resources, timeout=120).execute()
    shown = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    by_partition = shown["partitions"][0].data["text/html"]
    assert f"<td>{len(customers.read(partitions[0]))}</td>" in by_partition
    assert all(path.stem in by_partition for path in partitions)
    assert any("image/png" in output.data for output in shown["plots"])
