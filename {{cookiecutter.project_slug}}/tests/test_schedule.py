"""The crontab's block, against a stand-in of the command that keeps the table in a file."""

import os
import shlex
import sys
from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import paths, schedule
from {{ cookiecutter.__package }}.cli import Refusal

CRONTAB = """#!/bin/sh
cd "$(dirname "$0")" || exit 1
case $1 in
-l) test -f table || { echo "no crontab for tests" >&2; exit 1; }; cat table;;
-r) rm table;;
-) cat >table;;
esac
"""
OTHERS = b"MAILTO=ann\n# mine, with tabs\tand % and \xff\n\n*/5 * * * *\ttrue   \n"
FOLDERS = [
    "plain",
    "with space",
    "it's 100% & $x;`x`",
    'quoted "name"',
    "große Daten",
    "#comment",
]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in keeps the crontab."""
    command = tmp_path / "bin/crontab"
    command.parent.mkdir()
    command.write_text(CRONTAB, encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.defpath}")
    for name in ("RETRAIN_AT", "DRIFT_AT", *schedule.HANDED_ON):
        monkeypatch.delenv(name, raising=False)
    return command.with_name("table")


def run(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["schedule", what])
    schedule.main()


def lines(table: Path) -> list[str]:
    """The lines of the table that start something of this project."""
    return [line for line in table.read_text().splitlines() if f"{schedule.__package__}." in line]


def test_the_block_comes_once_and_goes_without_a_trace(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.write_bytes(OTHERS)
    run("install", monkeypatch)
    once = table.read_bytes()
    run("install", monkeypatch)
    assert table.read_bytes() == once
    assert once.startswith(OTHERS)
    assert len(lines_of(once)) == len(lines_of(OTHERS)) + 2 + len(schedule.TIMES)
    table.write_bytes(once + b"@daily false\n")
    run("install", monkeypatch)
    assert table.read_bytes().startswith(OTHERS + b"@daily false\n")
    run("remove", monkeypatch)
    assert table.read_bytes() == OTHERS + b"@daily false\n"


def lines_of(text: bytes) -> list[bytes]:
    return text.splitlines(keepends=True)


def test_a_crontab_that_held_nothing_else_is_gone_again(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("remove", monkeypatch)
    assert capsys.readouterr().out == "the crontab holds nothing of this project\n"
    run("install", monkeypatch)
    assert "17 3 2 * * cd " in capsys.readouterr().out
    run("remove", monkeypatch)
    assert not table.exists()


def test_two_projects_keep_their_blocks_apart(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("install", monkeypatch)
    first = table.read_bytes()
    monkeypatch.setattr(paths, "PROJECT", paths.PROJECT.with_name(f"{paths.PROJECT.name}-2"))
    run("install", monkeypatch)
    assert len(lines(table)) == 2 * len(schedule.TIMES)
    run("remove", monkeypatch)
    assert table.read_bytes() == first


@pytest.mark.parametrize("name", FOLDERS)
def test_a_line_survives_any_folder_and_cron_s_meaning_of_percent(
    name: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "PROJECT", tmp_path / name)
    run("install", monkeypatch)
    for line, what in zip(lines(table), schedule.TIMES, strict=True):
        assert "%" not in line.replace(r"\%", "")
        command = line.split(maxsplit=5)[5].replace(r"\%", "%")
        words = shlex.split(command)
        assert words[:5] == ["cd", str(tmp_path / name), "&&", "exec", "env"]
        assert words[-4:] == [sys.executable, "-m", f"{schedule.__package__}.unattended", what]
    run("remove", monkeypatch)
    assert not table.exists()


def test_times_and_addresses_are_taken_from_the_environment(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRAIN_AT", "7 1 * * 1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    monkeypatch.setenv("VAR_DIR", "state")
    run("install", monkeypatch)
    retrain, drift = lines(table)
    assert retrain.startswith("7 1 * * 1 cd ")
    assert drift.startswith("43 4 * * * cd ")
    assert "MLFLOW_TRACKING_URI=http://server:5000" in shlex.split(drift)
    assert f"VAR_DIR={paths.VAR}" in shlex.split(drift)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RETRAIN_AT", "monthly", "RETRAIN_AT has five parts"),
        ("DRIFT_AT", "1 2 3 4 5 rm", "DRIFT_AT has five parts"),
        ("DRIFT_AT", "1 2 3 4\n5", "DRIFT_AT has five parts"),
        ("MLFLOW_TRACKING_URI", f"http://{'a' * 1000}", "over 998 characters"),
        ("MLFLOW_TRACKING_URI", "http://a\nb", "line break"),
    ],
)
def test_what_cron_could_not_read_is_refused_and_nothing_changes(
    name: str, value: str, said: str, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.write_bytes(OTHERS)
    monkeypatch.setenv(name, value)
    with pytest.raises(Refusal, match=said):
        run("install", monkeypatch)
    assert table.read_bytes() == OTHERS


@pytest.mark.parametrize("keep", [0, 1])
def test_half_a_block_is_not_guessed_at(
    keep: int, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.write_bytes(OTHERS + schedule.markers()[keep])
    for what in ("install", "remove"):
        with pytest.raises(Refusal, match="one marker line of this project is missing"):
            run(what, monkeypatch)
    assert table.read_bytes() == OTHERS + schedule.markers()[keep]


def test_without_cron_one_sentence_is_said(
    table: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refusal, match="there is no crontab command; install cron"):
        run("install", monkeypatch)


def test_a_crontab_that_cannot_be_read_is_not_written_over(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = table.with_name("crontab")
    command.write_text("#!/bin/sh\necho 'you may not' >&2; exit 1\n")
    with pytest.raises(Refusal, match="`crontab -l` failed: you may not"):
        run("install", monkeypatch)
    command.write_text("#!/bin/sh\ntest $1 = -l || { echo 'bad minute' >&2; exit 1; }\n")
    with pytest.raises(Refusal, match="crontab refused: bad minute"):
        run("install", monkeypatch)
