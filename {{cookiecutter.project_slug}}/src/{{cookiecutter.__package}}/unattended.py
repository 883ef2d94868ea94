"""What cron starts: one command with its output in a log, and an end to it.

Says nothing when the command has ended well: cron mails whatever is said.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from . import paths
from .cli import Refusal, run
from .registry.history import now

# The module with its arguments, and the seconds that it may take.
COMMANDS = {
    "retrain": (("retrain", "--unattended"), 6 * 3600),
    "drift": (("monitoring.drift",), 3600),
}
KEPT = 5  # older logs
LARGE = 1_000_000  # bytes of a log that is set aside
MERCY = 60  # seconds to end in good order
TOO_LONG = 124  # exit code, as of the command `timeout`
TOLD = 30  # lines that cron mails


def start(name: str, command: list[str], seconds: float) -> int:
    """Run a command, its output in var/log/<name>.log; returns its exit code or `TOO_LONG`.

    Ended as by Ctrl+C, so that it can take its locks away and write its journal.
    """
    log = paths.LOGS / f"{name}.log"
    # What a script starts in its background ignores Ctrl+C, and would hand that on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rotate(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        begun = output.tell()
        output.write(f"--- {now()} {name}\n".encode())
        output.flush()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            code = TOO_LONG
            output.write(f"ended after {seconds:.0f} s\n".encode())
        output.write(f"--- {now()} exit code {code}\n".encode())
    if code:
        with log.open("rb") as said:
            said.seek(begun)
            lines = said.read().decode(errors="replace").splitlines()
        print(f"{name} ended with {code}; {log} holds all of:", *lines[-TOLD:], sep="\n")
    return code


def rotate(log: Path) -> None:
    """Set a large log aside as .1, the one before as .2, and so on; the oldest goes."""
    if not log.exists() or log.stat().st_size < LARGE:
        return
    for number in range(KEPT, 0, -1):
        newer = log.with_name(f"{log.name}.{number - 1}") if number > 1 else log
        if newer.exists():
            newer.replace(log.with_name(f"{log.name}.{number}"))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command with everything it has started."""
    os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(MERCY)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main() -> int:
    """Take the name of one of `COMMANDS`."""
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        raise Refusal(f"name one of: {', '.join(COMMANDS)}")
    (module, *arguments), seconds = COMMANDS[sys.argv[1]]
    command = [sys.executable, "-m", f"{__package__}.{module}", *arguments]
    return start(sys.argv[1], command, seconds)


if __name__ == "__main__":
    run(main)
