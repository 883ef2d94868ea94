import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import locks
from {{ cookiecutter.__package }}.cli import Busy


def test_a_lock_is_free_again_after_its_holder(empty: Path) -> None:
    for _ in range(2):
        with locks.exclusive("work"):
            pass


def test_another_process_is_waited_for_as_long_as_asked(
    empty: Path, elsewhere: Callable[[str], None]
) -> None:
    (empty / "var").mkdir()
    elsewhere("work")
    with pytest.raises(Busy, match="holds the lock work"), locks.exclusive("work", wait=0.2):
        pass
    with locks.exclusive("other work"):
        pass


def test_a_command_that_outlives_the_holder_keeps_the_lock(empty: Path) -> None:
    with locks.exclusive("work"):
        command = [sys.executable, "-c", "input()"]
        orphan = subprocess.Popen(command, stdin=subprocess.PIPE, close_fds=False)
    with pytest.raises(Busy), locks.exclusive("work"):
        pass
    orphan.communicate(b"\n")
    with locks.exclusive("work"):
        pass
