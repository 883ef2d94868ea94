import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pytest

from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.sources.folder import Folder, named


def rows(path: Path) -> list[Any]:
    with duckdb.connect() as connection:
        return connection.execute("FROM read_parquet(?)", [path.as_posix()]).fetchall()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A folder with tables of several kinds, and files that are none of its business."""
    folder = tmp_path / "table"
    folder.mkdir()
    (folder / "2024-02.csv").write_text("a;b\n1,5;x\n")
    (folder / "2024 01.csv").write_text("a;b\n2,5;y\n")
    (folder / "z.jsonl").write_text('{"a": 1}\n')
    (folder / ".hidden.csv").write_text("")
    (folder / "_SUCCESS").write_text("")
    (folder / "more").mkdir()
    return folder


def test_files_are_partitions_sorted_by_name(table: Path) -> None:
    assert Folder(str(table)).offered() == ["2024-01", "2024-02", "z"]


def test_a_partition_is_fetched_as_parquet(table: Path, tmp_path: Path) -> None:
    Folder(str(table), decimal=",", row_id="row").fetch(["2024-01"], tmp_path)
    assert rows(tmp_path / "2024-01.parquet") == [("2024-01-1", "2.5", "y")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2024-01.parquet", "table"]


def test_a_new_file_is_a_new_partition(table: Path) -> None:
    (table / "2024-03.csv").write_text("a;b\n1;x\n")
    assert "2024-03" in Folder(str(table)).offered()


def test_a_path_is_relative_to_the_project(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(table.parent)
    assert len(Folder("table").offered()) == 3


def test_one_file_is_one_partition(table: Path) -> None:
    assert Folder(str(table / "2024-02.csv")).offered() == ["2024-02"]


def test_any_file_system_that_fsspec_knows_will_do(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/made-up/2024-01.csv", b"a,b\n1,2\n")
    try:
        source = Folder("memory://made-up")
        assert source.offered() == ["2024-01"]
        source.fetch(["2024-01"], tmp_path)
        assert rows(tmp_path / "2024-01.parquet") == [("1", "2")]
    finally:
        memory.rm("/made-up", recursive=True)


@pytest.fixture
def web(table: Path) -> Iterator[str]:
    """The folder, served."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(table))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_file_on_the_web_is_one_partition(web: str, tmp_path: Path) -> None:
    source = Folder(f"{web}/2024-02.csv")
    assert source.offered() == ["2024-02"]
    source.fetch(["2024-02"], tmp_path)
    assert rows(tmp_path / "2024-02.parquet") == [("1,5", "x")]
    with pytest.raises(Refusal, match=r"none.csv cannot be read"):
        Folder(f"{web}/none.csv").fetch(["none"], tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2024-01.parquet", "two files that would both be partition '2024-01'; rename one"),
        ("notes.xlsx", "notes.xlsx is no table that can be read"),
    ],
)
def test_what_would_be_wrong_is_refused(table: Path, name: str, said: str) -> None:
    (table / name).write_text("")
    with pytest.raises(Refusal, match=said):
        Folder(str(table)).offered()


def test_a_folder_that_is_empty_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="holds no table file"):
        Folder(str(tmp_path)).offered()
    with pytest.raises(Refusal, match="cannot be read"):
        Folder(str(tmp_path / "none")).offered()
    with pytest.raises(Refusal, match="cannot be opened"):
        Folder("nosuch://x").offered()


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("A b (1).CSV", "A-b-1"),
        ("x.csv.gz", "x"),
        ("2024.01.parquet", "2024.01"),
        ("ü.csv", "table"),
    ],
)
def test_a_partition_is_named_after_its_file(file: str, name: str) -> None:
    assert named(file) == name
