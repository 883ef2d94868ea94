"""How every command ends: a result, or one sentence that says what to do."""

import errno
import sys
from collections.abc import Callable
from typing import NoReturn

FULL = (errno.ENOSPC, errno.EDQUOT)


class Refusal(Exception):
    """What is wrong, where, and what to do about it, in words for the user. Exit code 1."""

    code = 1


class Busy(Refusal):
    """Another process is at it. Exit code 75, EX_TEMPFAIL of sysexits.h: try again later."""

    code = 75


def one_line(error: BaseException) -> str:
    """What an exception says, on one line."""
    return " ".join(str(error).split())


def behind(error: BaseException, longest: int = 300) -> str:
    """What the exception says that a chain of them began with, on one line of so many letters."""
    while error.__cause__:
        error = error.__cause__
    return one_line(error)[:longest]


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit with its code.

    A `Refusal`, and that the disk is full, is printed without a traceback.
    """
    try:
        sys.exit(main() or 0)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        sys.exit(refusal.code)
    except OSError as error:
        if error.errno not in FULL:
            raise
        print(f"error: {error}: make room, then run this again", file=sys.stderr)
        sys.exit(1)
