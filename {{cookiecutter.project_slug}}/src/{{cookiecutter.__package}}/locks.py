"""One at a time: locks that the operating system frees when their holder dies."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from . import paths
from .cli import Busy


@contextmanager
def exclusive(name: str, wait: float = 0) -> Iterator[None]:
    """Hold the lock of that name; `Busy` when another process keeps it longer than `wait` s."""
    paths.VAR.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(paths.VAR / f"{name}.lock", timeout=wait):
            yield
    except Timeout:
        raise Busy(f"another process holds the lock {name}; nothing was done") from None
