import os
from multiprocessing import get_context
from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import files


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.replacing(path) as aside:
        aside.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_only_when_the_writer_is_done(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "new.txt"
    with files.replacing(path) as aside:
        aside.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_json_comes_back_as_it_was(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None], "b": "é"}
    files.write_json(tmp_path / "x.json", value)
    assert files.read_json(tmp_path / "x.json") == value


def test_json_without_a_meaning_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(path, float("nan"))
    assert not path.exists()


def test_a_missing_file_has_no_lines(tmp_path: Path) -> None:
    assert files.read_lines(tmp_path / "none.jsonl") == []


def append(path: Path, writer: int) -> None:
    for number in range(50):
        files.append_line(path, {"writer": writer, "number": number, "text": "x" * 2000})


def test_lines_of_several_processes_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    spawn = get_context("spawn")
    writers = [spawn.Process(target=append, args=(path, writer)) for writer in range(3)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    lines = files.read_lines(path)  # an empty one may stand between them
    assert len(lines) == 150
    for writer in range(3):
        assert [x["number"] for x in lines if x["writer"] == writer] == list(range(50))


def test_digest_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert files.digest(tmp_path / "x", "md5") == "900150983cd24fb0d6963f7d28e17f72"
    assert files.digest(tmp_path / "x").startswith("ba7816bf8f01cfea")


def test_a_line_torn_by_a_crash_costs_no_other_line(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    files.append_line(path, {"number": 1})
    with path.open("a") as file:
        file.write('{"number": 2, "rea')
    files.append_line(path, {"number": 3})
    assert [line["number"] for line in files.read_lines(path)] == [1, 3]


def test_a_line_that_does_not_fit_on_the_disk_is_not_lost_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write = tmp_path / "lines.jsonl", os.write
    files.append_line(path, {"number": 1})
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))
        with pytest.raises(OSError, match="No space left"):
            files.append_line(path, {"number": 2})
    files.append_line(path, {"number": 3})
    assert [line["number"] for line in files.read_lines(path)] == [1, 3]
