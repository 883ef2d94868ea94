"""The service called as a server calls it, step by step."""

import asyncio
import json
from typing import Any

from starlette.types import ASGIApp, Message


class Call:
    """A request in flight, whose body comes when the test says so; use it within an event loop."""

    def __init__(self, app: ASGIApp, path: str = "/predict", method: str = "POST") -> None:
        self.sent: list[Message] = []
        self._coming: asyncio.Queue[Message] = asyncio.Queue()
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [],
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "server": ("localhost", 80),
            "client": ("localhost", 1),
        }
        self.task: asyncio.Task[None] = asyncio.ensure_future(
            app(scope, self._coming.get, self._send)
        )

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    def give(self, body: bytes, more: bool = False) -> "Call":
        """Part of the body, or the rest of it."""
        self._coming.put_nowait({"type": "http.request", "body": body, "more_body": more})
        return self

    def hang_up(self) -> "Call":
        """The caller is gone."""
        self._coming.put_nowait({"type": "http.disconnect"})
        return self

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body of the answer."""
        await asyncio.wait_for(self.task, 10)
        start, *parts = self.sent
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return start["status"], headers, json.loads(b"".join(part["body"] for part in parts))
