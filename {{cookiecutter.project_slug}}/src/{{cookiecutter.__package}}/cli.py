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
