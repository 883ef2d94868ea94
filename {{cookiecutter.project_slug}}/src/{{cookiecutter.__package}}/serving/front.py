"""What every request passes on its way to FastAPI and back: limits, API key, id, figures."""

import asyncio
import hmac
import logging
import os
import re
import time
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import metrics
from .errors import (
    STATUS,
    BodyTooLarge,
    Busy,
    TooLarge,
    TooSlow,
    Unauthorized,
    Unavailable,
    reason,
    told,
)
from .service import Service
from .turn import Turn

# Open to all: what tells no more than that the service runs, and the page, which holds no data.
HEALTH = {"/health/live", "/health/ready", "/ping", "/v2/health/live", "/v2/health/ready"}
OPEN = {"/", "/page.css", "/page.js", *HEALTH}
REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,100}")

LINGER = 2.0  # seconds for which the rest of a body is thrown away after a refusal

log = logging.getLogger(__name__)


class Front:
    """An ASGI application before FastAPI's.

    `key` is what requests must show as `Authorization: Bearer <key>`, if anything.
    """

    def __init__(self, app: ASGIApp, service: Service, key: str = "") -> None:
        self.service = service
        self.turn = Turn(service)
        self._app = app
        self._limits = service.limits
        self._bearer = f"Bearer {key}".encode() if key else b""
        self._began: dict[asyncio.Task[Any], float] = {}  # requests in flight
        self._overdue: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        task: Any = asyncio.current_task()
        began = self._began[task] = time.perf_counter()
        status = STATUS[ClientDisconnect]  # unless an answer is begun
        try:
            self._admit(scope)
            status = await self._pass_on(scope, receive, send)
        except asyncio.CancelledError:
            if task not in self._overdue or scope["answered"]:
                raise
            task.uncancel()
            slow = TooSlow(f"the request took over {self._limits.request_seconds} seconds")
            status = await self._refuse(scope, receive, send, slow)
        except Exception as error:
            if scope["answered"]:
                raise
            status = await self._refuse(scope, receive, send, error)
        finally:
            del self._began[task]
            self._overdue.discard(task)
            endpoint = getattr(scope.get("route"), "path", "other")
            metrics.REQUESTS.labels(endpoint, str(status)).inc()
            metrics.DURATION.labels(endpoint).observe(time.perf_counter() - began)

    def allows(self, authorization: bytes, length: int) -> bool:
        """Whether a request with this header and a body of so many bytes may be answered."""
        return length <= self._limits.max_body_bytes and self._shown(authorization)

    def _shown(self, authorization: bytes) -> bool:
        return not self._bearer or hmac.compare_digest(authorization, self._bearer)

    def _admit(self, scope: Scope) -> None:
        """Take the request's id, and raise for one that may not be answered."""
        authorization, length = b"", b""
        scope["request_id"], scope["answered"] = "", False
        for name, raw in scope["headers"]:
            value = raw.strip(b" \t")  # uvicorn leaves the space after it
            if name == b"content-length":
                length = value
            elif name == b"authorization":
                authorization = value
            elif name == b"x-request-id" and REQUEST_ID.fullmatch(value):
                scope["request_id"] = value.decode()
        if scope["path"] not in OPEN:
            if len(self._began) > self._limits.max_concurrent:
                raise Busy(f"over {self._limits.max_concurrent} requests at a time")
            if not self._shown(authorization):
                raise Unauthorized("send the API key as `Authorization: Bearer <key>`")
        if length.isdigit() and int(length) > self._limits.max_body_bytes:
            raise BodyTooLarge(f"the body is over {self._limits.max_body_bytes} bytes")

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> int:
        status = STATUS[ClientDisconnect]

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                scope["answered"], status = True, message["status"]
                if scope["request_id"]:
                    message["headers"].append((b"x-request-id", scope["request_id"].encode()))
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            # Of a failure that it has answered itself, FastAPI tells the server once more.
            if status != 500:
                raise
        return status

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, error: Exception) -> int:
        response = refusal(scope, error)
        response.headers["x-request-id"] = scope["request_id"]
        await response(scope, receive, send)
        return response.status_code

    async def watch(self) -> None:
        """Follow the champion and end requests that take too long, for ever."""
        while True:
            await asyncio.sleep(self._limits.poll_seconds)
            await asyncio.to_thread(self.service.champion.refresh)
            self.service.log.look()
            self.service.feedback.look()
            metrics.TALLY.tell()
            metrics.IN_FLIGHT.set(len(self._began))
            latest = time.perf_counter() - self._limits.request_seconds
            for task, began in self._began.items():
                if began < latest and task not in self._overdue:
                    self._overdue.add(task)
                    task.cancel()


class LastAnswer(Response):
    """An answer before the end of the request's body, of which the rest is thrown away.

    Were the connection closed at once, a caller who still sends would find it reset and the answer
    gone (RFC 9112, 9.6).
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and close the connection a moment later."""
        head = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **head})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while (await receive()).get("more_body"):
                    pass
        await send({"type": "http.response.body", "body": b""})


async def read_body(receive: Receive, limit: int) -> bytes:
    """A request's body, read no further than `limit` bytes; raises `TooLarge` or `BodyTooLarge`."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect("the caller has gone")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            kind = BodyTooLarge if message.get("more_body") else TooLarge  # nothing is left to read
            raise kind(f"the body is over {limit} bytes")
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def refusal(scope: Scope, error: Exception) -> Response:
    """The answer to a request that failed, noted in the service's log under the request's id."""
    status, body, headers = told(error)
    metrics.REFUSED.labels(reason(error)).inc()
    request = scope["request_id"] = scope.get("request_id") or os.urandom(8).hex()
    if status >= 500 and not isinstance(error, (Busy, Unavailable)):
        log.error("request failed", exc_info=error, extra={"request": request})
    elif not isinstance(error, Busy):  # many at a time, and counted
        facts = {"request": request, "path": scope["path"], "status": status}
        log.info("refused: %s", error, extra=facts)
    kind = Response if type(error) is not BodyTooLarge else LastAnswer
    return kind(body, status, headers, "application/json")
