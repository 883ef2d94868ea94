"""What Ctrl+C means while a study runs."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stop:
    """Whether Ctrl+C was pressed; pressed again, it ends the process as usual."""

    asked: bool = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note it."""
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    @contextmanager
    def listening(self) -> Iterator["Stop"]:
        """Hear Ctrl+C in the block: an exception amid a write would leave half of it."""
        before = signal.signal(signal.SIGINT, self)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before)
