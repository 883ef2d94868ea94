"""One at a time: locks that the operating system frees when their holder dies."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import lock_descriptor

from . import paths
from .cli import Busy

LOOK = 0.05  # seconds between two attempts


@contextmanager
def exclusive(name: str, wait: float = 0) -> Iterator[None]:
    """Hold the lock of that name; `Busy` when another process keeps it longer than `wait` s.

    DVC's commands inherit it: where only their parent is killed, they go on working.
    """
    paths.VAR.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + wait
    with (paths.VAR / f"{name}.lock").open("a") as file:
        while not lock_descriptor(file.fileno(), blocking=False):
            if time.monotonic() >= until:
                raise Busy(f"another process holds the lock {name}; nothing was done")
            time.sleep(LOOK)
        os.set_inheritable(file.fileno(), True)
        yield
