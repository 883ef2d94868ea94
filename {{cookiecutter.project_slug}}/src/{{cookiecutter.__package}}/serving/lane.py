"""The short way for a single row: answered from uvicorn's HTTP protocol, before ASGI and FastAPI.

A plain `POST /predict` that arrives whole, or in pieces, between two other requests of a connection
and can be answered at once with 200 is. All else (other paths, lists, errors, slow readers) takes
the long way through `front` and FastAPI, so there is one place for each rule, and the service works
the same, only slower, when `http=Lane` is taken out of `__main__`.
"""

import asyncio
import re
import time
from functools import lru_cache, partial
from typing import Any, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from . import metrics
from .errors import told
from .front import REQUEST_ID, Front
from .schema import BadRequest

START = b"POST /predict HTTP/1.1\r\n"
LONGEST_HEAD = 16_384
LONGEST_BODY = 65_536  # of a single row; more comes in many pieces, which the lane would join anew
HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
REPLY = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d%b%b%b\r\n\r\n%b"
CLOSE = b"\r\nconnection: close"


class Head(NamedTuple):
    """What the lane needs to know of a request's head."""

    length: int
    authorization: bytes
    request_id: str


@lru_cache(512)
def read_head(head: bytes) -> Head | None:
    """The header lines of a plain request; None when a full HTTP parser should look at them."""
    length, authorization, request_id = None, b"", ""
    for line in head.split(b"\r\n"):
        match = HEADER.fullmatch(line)
        if not match:
            return None
        name, value = match[1].lower(), match[2]
        if name == b"content-length":
            if length is not None or not value.isdigit() or len(value) > 9:
                return None
            length = int(value)
        elif name == b"authorization":
            authorization = value
        elif name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            request_id = value.decode()
        elif name in (b"transfer-encoding", b"expect", b"upgrade", b"content-encoding") or (
            name == b"connection" and value.lower() != b"keep-alive"
        ):
            return None
    return Head(length, authorization, request_id) if length else None


class Lane(HttpToolsProtocol):
    """uvicorn's protocol with the short way in front of it."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._between = True  # the parser has seen whole requests only
        self._held = b""  # the first part of a request
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._defaults: list[tuple[bytes, bytes]] | None = None
        self._lines = b""

    def on_message_begin(self) -> None:
        """The parser has begun a request."""
        self._between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser has seen the head of a request."""
        super().on_headers_complete()
        if self._closing:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The parser has seen the end of a request."""
        self._between = True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Answer what the lane can answer, and give the rest to uvicorn."""
        if self._held:
            data, self._held = self._held + data, b""
        while data:
            taken = self._answer(data) if self._free() else 0
            if not taken:
                break
            data = data[taken:]
        if data and not self._held:
            self._pass_on(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the one shape of errors."""
        _, body, _ = told(BadRequest(msg))
        self._write(b"400 Bad Request", body, "", close=True)

    def shutdown(self) -> None:
        """Close soon: what is on its way is still answered."""
        self._closing = True
        self._let_go()
        if self.cycle and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        self.loop.call_later(0.1, super().shutdown)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    def _write(self, status: bytes, body: bytes, request_id: str, close: bool) -> None:
        if self._defaults is not self.server_state.default_headers:  # renewed every second
            self._defaults = self.server_state.default_headers
            self._lines = b"".join(b"\r\n%b: %b" % header for header in self._defaults)
        echo = b"\r\nx-request-id: " + request_id.encode() if request_id else b""
        lines = (status, len(body), self._lines, echo, CLOSE if close else b"", body)
        self.transport.write(REPLY % lines)
        if close:
            self.transport.close()

    def _pass_on(self, data: bytes) -> None:
        if isinstance(self.app, Front):
            self.app.turn.end()  # replies leave in the order of the requests
        self._last = time.perf_counter()
        super().data_received(data)

    def _let_go(self) -> None:
        """Leave a request that has come in part to uvicorn."""
        if self._held:
            data, self._held = self._held, b""
            self._pass_on(data)

    def _expire(self) -> None:
        """Close the connection once nothing has come for as long as uvicorn would wait.

        A request that has not come whole by then is left to uvicorn, where its time is limited.
        """
        self._timer = None
        left = self._last + self.timeout_keep_alive - time.perf_counter()
        if left > 0:
            self._timer = self.loop.call_later(left, self._expire)
        elif self._held:
            self._let_go()
        elif self._free():
            self.transport.close()

    def _free(self) -> bool:
        """Whether uvicorn is between two requests of this connection and its writes get through."""
        return (
            self._between
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and not self.transport.is_closing()
            and isinstance(self.app, Front)
        )

    def _answer(self, data: bytes) -> int:
        """Answer the request at the beginning of the data soon; returns its length, 0 for none.

        An incomplete one is held back until the rest has come.
        """
        began = time.perf_counter()
        front: Any = self.app
        end = data.find(b"\r\n\r\n", 0, LONGEST_HEAD)
        if end < 0 or not data.startswith(START):
            return 0
        head = read_head(data[len(START) : end])
        if head is None or head.length > LONGEST_BODY:
            return 0
        if not front.allows(head.authorization, head.length):
            return 0
        self._unset_keepalive_if_required()
        self._last = began
        if self._timer is None:
            self._timer = self.loop.call_later(self.timeout_keep_alive, self._expire)
        total = end + 4 + head.length
        if len(data) < total:
            self._held = data
            return 0
        made = front.service.at_once(data[end + 4 : total], head.request_id)
        if made is None:
            return 0
        front.turn.add(made, partial(self._tell, data[:total], head.request_id, began))
        return total

    def _tell(self, request: bytes, request_id: str, began: float, reply: bytes | None) -> None:
        if self.transport.is_closing():
            return
        if reply is None:
            self._pass_on(request)
            return
        self._write(b"200 OK", reply, request_id, close=self._closing)
        metrics.TALLY.request(time.perf_counter() - began)
