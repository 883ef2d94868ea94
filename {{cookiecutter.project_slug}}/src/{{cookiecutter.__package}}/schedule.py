"""`make cron-install` and `make cron-remove`: this project's block of lines in the user's crontab.

The block stands between two marker lines that name the project's folder. Every other line of the
crontab stays as it is, byte for byte.
"""

import os
import shlex
import shutil
import subprocess
import sys

from . import paths
from .cli import Refusal, run

# Minute, hour, day of the month, month, weekday. Odd minutes: at full hours all machines are busy.
TIMES = {"retrain": ("RETRAIN_AT", "17 3 2 * *"), "drift": ("DRIFT_AT", "43 4 * * *")}
# What cron's own environment lacks.
HIDDEN = "ALERT_URL"  # who knows a web hook's address may write to it
HANDED_ON = (
    "VAR_DIR",
    "MLFLOW_TRACKING_URI",
    "DO_NOT_TRACK",
    "MLFLOW_DISABLE_TELEMETRY",
    HIDDEN,
)
LONGEST = 998  # characters of a command that cron reads


def markers() -> tuple[bytes, bytes]:
    """The first and the last line of this project's block."""
    name = os.fsencode(paths.PROJECT)
    return b"# >>> scheduled runs of " + name + b"\n", b"# <<< scheduled runs of " + name + b"\n"


def line(what: str) -> bytes:
    """The crontab line that starts a run; `Refusal` where cron could not read it."""
    variable, usual = TIMES[what]
    times = os.environ.get(variable) or usual
    if len(times.split()) != 5 or set(times) & set("%\n\r"):
        raise Refusal(f"{variable} has five parts, such as {usual!r}; it is {times!r}")
    tools = (shutil.which(name) for name in ("git", "ssh"))
    folders = [os.path.dirname(tool) for tool in tools if tool]  # noqa: PTH120
    path = os.pathsep.join(dict.fromkeys([*folders, *os.defpath.split(os.pathsep)]))
    given = {name: os.environ[name] for name in HANDED_ON if os.environ.get(name)}
    if "VAR_DIR" in given:
        given["VAR_DIR"] = str(paths.VAR)
    settings = [f"{name}={value}" for name, value in {"PATH": path, **given}.items()]
    start = ["env", *settings, sys.executable, "-m", f"{__package__}.unattended", what]
    command = f"cd {shlex.quote(str(paths.PROJECT))} && exec {shlex.join(start)}"
    if "\n" in command or "\r" in command:
        raise Refusal("cron cannot read a path with a line break in it; move the project")
    command = command.replace("%", r"\%")  # a bare one ends the command
    if len(os.fsencode(command)) > LONGEST:
        raise Refusal(f"the command is over {LONGEST} characters, too long for cron")
    return os.fsencode(f"{times} {command}\n")


def shown(what: str) -> str:
    """The crontab line as it may stand on a screen."""
    hidden = shlex.quote(f"{HIDDEN}={os.environ.get(HIDDEN, '')}").replace("%", r"\%")
    return os.fsdecode(line(what)).replace(f" {hidden} ", f" {HIDDEN}=... ")


def without(table: bytes) -> bytes:
    """A crontab without this project's block; `Refusal` when half of the block is gone."""
    first, last = markers()
    start, end = ((b"\n" + table).find(b"\n" + marker) for marker in (first, last))
    if start < 0 and end < 0:
        return table
    if not 0 <= start < end:
        raise Refusal("one marker line of this project is missing; repair it with `crontab -e`")
    return table[:start] + table[end + len(last) :]


def install(table: bytes) -> bytes:
    """A crontab with this project's block, once, at its end."""
    rest = without(table)
    if rest and not rest.endswith(b"\n"):
        rest += b"\n"
    first, last = markers()
    return rest + first + b"".join(map(line, TIMES)) + last


def read() -> bytes:
    """The user's crontab; empty when there is none."""
    done = _crontab("-l")
    if done.returncode == 0:
        return done.stdout
    if b"no crontab for" in done.stderr:
        return b""
    raise Refusal(f"`crontab -l` failed: {done.stderr.decode(errors='replace').strip()}")


def write(table: bytes) -> None:
    """Make this the user's crontab; an empty one is taken away."""
    done = _crontab("-", table) if table else _crontab("-r")
    if done.returncode:
        raise Refusal(f"crontab refused: {done.stderr.decode(errors='replace').strip()}")


def _crontab(argument: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["crontab", argument], input=given, capture_output=True, env=environment, check=False
        )
    except FileNotFoundError:
        raise Refusal("there is no crontab command; install cron (Debian: cron)") from None


def main() -> None:
    """Take `install` or `remove`; say what the crontab holds now."""
    before = read()
    if sys.argv[1:] == ["remove"]:
        after = without(before)
        print("the crontab holds nothing of this project" if after == before else "removed")
    else:
        after = install(before)
        print("".join(map(shown, TIMES)), end="")
        print(f"installed; what a run says is below {paths.LOGS}, and cron mails what failed")
    if after != before:
        write(after)


if __name__ == "__main__":
    run(main)
