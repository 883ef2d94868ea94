"""uvicorn's HTTP protocol without a network: bytes in, answers out, in the same steps each time."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httptools
import uvicorn
from uvicorn.server import ServerState

from {{ cookiecutter.__package }}.serving.front import Front
from {{ cookiecutter.__package }}.serving.lane import Lane
from {{ cookiecutter.__package }}.serving.service import Made

from .. import customers

ROW = customers.request()
BODY = json.dumps(ROW).encode()
TURNS = 60  # of the event loop, in which any request that can be answered is


def request(
    body: bytes = BODY, *headers: str, line: str = "POST /predict HTTP/1.1", length: bool = True
) -> bytes:
    """The bytes of a request."""
    lines = [line, "Host: localhost", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Answer:
    """An answer as the bytes say it."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def plain(self) -> tuple[Any, ...]:
        """What two answers to the same request have in common: all but ids made at random."""
        headers = sorted((n, "" if n == "x-request-id" else value) for n, value in self.headers)
        try:
            said = json.loads(self.body)
        except ValueError:
            return self.status, headers, self.body
        if isinstance(said, dict):
            for prediction in said.get("predictions", []):
                prediction["id"] = prediction["id"].partition("-")[2]
        return self.status, headers, said


class Reader:
    """Takes a stream of answers apart."""

    def __init__(self, stream: bytes) -> None:
        self.found: list[Answer] = []
        self.parser = httptools.HttpResponseParser(self)
        self.parser.feed_data(stream)

    def on_message_begin(self) -> None:
        self.found.append(Answer())

    def on_header(self, name: bytes, value: bytes) -> None:
        self.found[-1].headers.append((name.decode(), value.decode()))

    def on_body(self, body: bytes) -> None:
        self.found[-1].body += body

    def on_message_complete(self) -> None:
        self.found[-1].status = self.parser.get_status_code()


class Pipe(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Wire:
    """One connection to the service; `short` counts requests that the lane has answered."""

    def __init__(self, front: Front, protocol: type[Lane] = Lane) -> None:
        self.front = front
        self.loop = asyncio.new_event_loop()
        self.pipe = Pipe()
        self.short = 0
        config = uvicorn.Config(front, http=protocol, proxy_headers=False, log_config=None)
        config.load()
        state = ServerState()
        state.default_headers = [(b"date", b"today")]
        self.protocol = protocol(config, state, {}, self.loop)
        self.protocol.connection_made(self.pipe)
        self._at_once = front.service.at_once
        front.service.at_once = self._counted  # type: ignore[method-assign]

    def _counted(self, body: bytes, request: str = "") -> Made | None:
        found = self._at_once(body, request)
        self.short += found is not None
        return found

    def feed(self, *pieces: bytes, turns: int = TURNS) -> list[Answer]:
        """All answers after more bytes, with some turns of the event loop for each piece."""
        for piece in pieces:
            self.loop.call_soon(self.protocol.data_received, piece)
            self.wait(turns=turns)
        self.wait()
        return self.answers()

    def wait(self, seconds: float = 0, turns: int = TURNS) -> None:
        """Let the event loop go on."""

        async def turning() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            if seconds:
                await asyncio.sleep(seconds)

        self.loop.run_until_complete(turning())

    def answers(self) -> list[Answer]:
        """What has been written so far."""
        return Reader(self.pipe.written).found

    def close(self) -> None:
        """Hang up."""
        self.protocol.connection_lost(None)
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.wait()
        self.loop.close()
        self.front.service.at_once = self._at_once  # type: ignore[method-assign]


@contextmanager
def connected(front: Front, protocol: type[Lane] = Lane) -> Iterator[Wire]:
    """A connection that is hung up at the end."""
    wire = Wire(front, protocol)
    try:
        yield wire
    finally:
        wire.close()
