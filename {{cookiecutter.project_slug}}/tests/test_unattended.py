import subprocess
import sys
import time
from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import paths, unattended
from {{ cookiecutter.__package }}.cli import Refusal


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "LOGS", tmp_path / "log")
    return tmp_path / "log/job.log"


def start(code: str, seconds: float = 60) -> int:
    return unattended.start("job", [sys.executable, "-c", code], seconds)


def test_what_ends_well_is_only_in_the_log(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert start("import sys; print('one'); print('two', file=sys.stderr)") == 0
    assert start("print('three')") == 0
    assert capfd.readouterr() == ("", "")
    text = log.read_text()
    assert text.index("one") < text.index("three")
    assert "two" in text
    assert text.count("exit code 0") == 2


def test_what_fails_is_said_too_so_that_cron_mails_it(
    log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    start("print('of yesterday')")
    assert start("import sys; print('the reason'); sys.exit(75)") == 75
    said = capfd.readouterr().out
    assert said.startswith(f"job ended with 75; {log} holds all of:\n")
    assert "the reason" in said
    assert "of yesterday" not in said


def test_what_hangs_is_ended_with_all_it_has_started(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unattended, "MERCY", 0.5)
    child = f"""
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
open({str(tmp_path / "up")!r}, "w").close()
time.sleep(600)
"""
    code = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}])
while not os.path.exists({str(tmp_path / "up")!r}):
    time.sleep(0.01)
print(child.pid, flush=True)
try:
    time.sleep(600)
except KeyboardInterrupt:
    print("in good order")
"""
    assert start(code, 3) == unattended.TOO_LONG
    text = log.read_text()
    assert "in good order" in text
    assert "ended after 3 s" in text
    pid = text.splitlines()[1]
    for _ in range(500):
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False
        )
        if state.stdout.strip()[:1] in ("", "Z"):
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} lives on")


def test_large_logs_are_set_aside_and_the_oldest_goes(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unattended, "LARGE", 10)
    for number in range(unattended.KEPT + 3):
        start(f"print('run', {number})")
    logs = sorted(path.name for path in log.parent.iterdir())
    assert logs == ["job.log", *(f"job.log.{i}" for i in range(1, unattended.KEPT + 1))]
    assert f"run {unattended.KEPT + 2}" in log.read_text()
    assert "run 2" in log.with_name(f"job.log.{unattended.KEPT}").read_text()


def test_every_command_is_a_module_and_others_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for (module, *_), _ in unattended.COMMANDS.values():
        path = Path(unattended.__file__).parent / f"{module.replace('.', '/')}.py"
        assert path.exists()
    started: list[list[str]] = []
    monkeypatch.setattr(unattended, "start", lambda _, command, __: started.append(command))
    for name in unattended.COMMANDS:
        monkeypatch.setattr(sys, "argv", ["unattended", name])
        unattended.main()
    # the limits of conf/retrain/ hold for what nobody watches
    assert [command[3:] for command in started] == [["--unattended"], []]
    monkeypatch.setattr(sys, "argv", ["unattended", "rm"])
    with pytest.raises(Refusal, match="name one of: retrain, drift"):
        unattended.main()
