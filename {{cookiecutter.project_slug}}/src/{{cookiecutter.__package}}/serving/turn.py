"""One turn of the event loop: what it has answered is logged by a single write, then told."""

import asyncio
from collections.abc import Callable

from .errors import Unavailable
from .service import Made, Service, encode


class Turn:
    """Single rows, answered and not yet told.

    With many callers a turn answers many rows, and a write for each of them would cost a tenth of
    its answer. Databases call it a group commit.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: list[tuple[Made, Callable[[bytes | None], None]]] = []

    def add(self, made: Made, tell: Callable[[bytes | None], None]) -> None:
        """Call `tell` with the reply once the row is logged, or with None if it cannot be."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.end)
        self._waiting.append((made, tell))

    def end(self) -> None:
        """Log what waits and tell it."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        try:
            self._service.log_made([made for made, _ in waiting])
        except Unavailable:
            for _, tell in waiting:
                tell(None)
        else:
            for made, tell in waiting:
                tell(encode(made.answer))
