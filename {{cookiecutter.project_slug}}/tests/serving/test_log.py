import errno
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from {{ cookiecutter.__package }}.serving.answers import Record
from {{ cookiecutter.__package }}.serving.log import Feedback, Log

TEXT = "é" * 3000
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def record(number: int, version: int = 1, at: datetime = NOON) -> Record:
    row = {"number": number, "text": TEXT}
    return Record(f"{version}-{number}", at, version, 0.25, 0, UNSET, UNSET, row)


def append(folder: Path, writer: int) -> None:
    log = Log(folder, 40_000)
    for number in range(0, 60, 3):
        log.append([record(number + i, writer) for i in range(3)])


def lines(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("*.jsonl"))
    return [json.loads(x) for path in files for x in path.read_text("utf-8").splitlines()]


def ids(folder: Path) -> list[str]:
    return [line["id"] for line in lines(folder)]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path, 1_000_000)


def test_a_record_is_on_disk_when_append_returns(log: Log, tmp_path: Path) -> None:
    log.append([Record("a", NOON, 3, 0.25, 0, UNSET, UNSET, {"x": None}, "me"), record(1)])
    first, second = lines(tmp_path)
    assert first == {
        "id": "a",
        "at": "2024-05-01T12:00:00Z",
        "version": 3,
        "probability": 0.25,
        "label": 0,
        "row": {"x": None},
        "request": "me",
    }
    assert "request" not in second
    assert second["row"] == {"number": 1, "text": TEXT}


def test_feedback_is_written_the_same_way(log: Log, tmp_path: Path) -> None:
    log.append([Feedback("a", NOON, 1)])
    assert lines(tmp_path) == [{"id": "a", "at": "2024-05-01T12:00:00Z", "label": 1}]


def test_lines_of_several_processes_are_all_there_and_whole(tmp_path: Path) -> None:
    writers = [
        get_context("spawn").Process(target=append, args=(tmp_path, writer)) for writer in range(3)
    ]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    found = ids(tmp_path)
    assert len(found) == 180
    assert set(found) == {f"{writer}-{number}" for writer in range(3) for number in range(60)}


def test_several_logs_of_one_process_never_share_a_file(tmp_path: Path) -> None:
    for _ in range(2):
        Log(tmp_path, 1_000_000).append([record(1)])
    assert len(list(tmp_path.iterdir())) == 2


def test_a_new_file_is_begun_at_midnight(log: Log, tmp_path: Path) -> None:
    midnight = datetime(2024, 5, 2, tzinfo=UTC)
    for number, at in enumerate([NOON, midnight - timedelta(microseconds=1), midnight, midnight]):
        log.append([record(number, at=at)])
    first, second = sorted(tmp_path.iterdir())
    assert (first.name[:10], second.name[:10]) == ("2024-05-01", "2024-05-02")
    assert len(first.read_text("utf-8").splitlines()) == 2
    assert ids(tmp_path) == ["1-0", "1-1", "1-2", "1-3"]


def test_a_new_file_is_begun_when_one_is_full(tmp_path: Path) -> None:
    log = Log(tmp_path, 10_000)
    for number in range(5):
        log.append([record(number)])
    found = sorted(tmp_path.iterdir())
    assert [len(path.read_text("utf-8").splitlines()) for path in found] == [2, 2, 1]
    day, writer, numbers = zip(*(path.name.split(".")[:3] for path in found), strict=True)
    assert (set(day), len(set(writer)), numbers) == ({"2024-05-01"}, 1, ("0", "1", "2"))


def test_the_records_of_one_request_are_never_parted(tmp_path: Path) -> None:
    log = Log(tmp_path, 10)
    log.append([record(number) for number in range(9)])
    log.append([record(9)])
    assert [len(p.read_text("utf-8").splitlines()) for p in sorted(tmp_path.iterdir())] == [9, 1]


def test_a_disk_that_refuses_raises_until_it_does_not(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", 1_000_000)
    (tmp_path / "log").rmdir()
    (tmp_path / "log").touch()
    for number in range(2):
        with pytest.raises(OSError, match="File exists"):
            log.append([record(number)])
    (tmp_path / "log").unlink()
    log.append([record(2)])
    assert ids(tmp_path / "log") == ["1-2"]


def test_a_file_removed_under_the_log_is_begun_again_after_a_look(log: Log, tmp_path: Path) -> None:
    log.look()
    log.append([record(1)])
    log.look()
    log.append([record(2)])
    (path,) = tmp_path.iterdir()
    assert ids(tmp_path) == ["1-1", "1-2"]
    path.unlink()
    log.look()
    log.append([record(3)])
    assert ids(tmp_path) == ["1-3"]


def short(count: int) -> Callable[[int, bytes], int]:
    """The disk takes so many bytes of each block only."""
    return lambda file, block, write=os.write: write(file, block[:count])  # type: ignore[misc]


def full(file: int, block: bytes) -> int:
    """The disk takes nothing."""
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("write", "said"), [(short(10), "only 10 of"), (short(0), "only 0 of"), (full, "No space")]
)
def test_what_a_full_disk_did_not_take_leaves_no_trace(
    write: Any, said: str, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append([record(1)])
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        for _ in range(2):
            with pytest.raises(OSError, match=said):
                log.append([record(2), record(3)])
    assert ids(tmp_path) == ["1-1"]
    log.append([record(4)])
    assert ids(tmp_path) == ["1-1", "1-4"]


def test_a_closed_log_begins_another_file(log: Log, tmp_path: Path) -> None:
    log.append([record(1)])
    log.close()
    log.close()
    log.append([record(2)])
    assert ids(tmp_path) == ["1-1", "1-2"]
    assert len(list(tmp_path.iterdir())) == 2
