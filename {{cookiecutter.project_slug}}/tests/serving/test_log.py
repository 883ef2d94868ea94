import json
import os
from multiprocessing import get_context
from pathlib import Path

import pytest

from {{ cookiecutter.__package }}.serving.log import PredictionLog, Record

TEXT = "é" * 3000


def record(number: int, version: int = 1) -> Record:
    row = {"number": number, "text": TEXT}
    return Record(f"{version}-{number}", "2024-05-01T00:00:00+00:00", version, 0.25, 0, row)


def append(folder: Path, writer: int) -> None:
    log = PredictionLog(folder)
    for number in range(0, 60, 3):
        log.append([record(number + i, writer) for i in range(3)])


def lines(folder: Path) -> list[dict[str, object]]:
    files = sorted(folder.glob("*.jsonl"))
    return [json.loads(x) for path in files for x in path.read_text("utf-8").splitlines()]


def test_a_record_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record(1)])
    (line,) = lines(tmp_path)
    assert line["id"] == "1-1"
    assert line["row"] == {"number": 1, "text": TEXT}


def test_lines_of_several_processes_never_mix(tmp_path: Path) -> None:
    writers = [
        get_context("spawn").Process(target=append, args=(tmp_path, writer)) for writer in range(3)
    ]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    found = {str(line["id"]) for line in lines(tmp_path)}
    assert found == {f"{writer}-{number}" for writer in range(3) for number in range(60)}


def test_lines_of_several_logs_of_one_process_never_mix(tmp_path: Path) -> None:
    one, other = PredictionLog(tmp_path), PredictionLog(tmp_path)
    for number in range(10):
        one.append([record(number, 1)])
        other.append([record(number, 2)])
    assert [line["version"] for line in lines(tmp_path)] == [1, 2] * 10


def test_a_disk_that_refuses_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = PredictionLog(tmp_path / "log")
    (tmp_path / "log").rmdir()
    (tmp_path / "log").touch()
    with pytest.raises(OSError, match="File exists"):
        log.append([record(1)])
    (tmp_path / "log").unlink()
    log.append([record(2)])
    assert [line["id"] for line in lines(tmp_path / "log")] == ["1-2"]


def test_a_file_removed_under_the_service_is_begun_again(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record(1)])
    for path in tmp_path.iterdir():
        path.unlink()
    log.append([record(2)])
    assert [line["id"] for line in lines(tmp_path)] == ["1-2"]


def test_a_write_cut_short_raises_and_leaves_the_next_line_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, write = PredictionLog(tmp_path), os.write
    log.append([record(1)])
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, block: write(file, block[:10]))
        with pytest.raises(OSError, match="only 10 of"):
            log.append([record(2)])
    log.append([record(3)])
    (path,) = tmp_path.iterdir()
    whole = [x for x in path.read_text("utf-8").splitlines() if x.endswith("}")]
    assert [json.loads(line)["id"] for line in whole] == ["1-1", "1-3"]


def test_a_closed_log_opens_again(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record(1)])
    log.close()
    log.close()
    log.append([record(2)])
    assert [line["id"] for line in lines(tmp_path)] == ["1-1", "1-2"]
