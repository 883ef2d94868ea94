"""Bare ASGI: reads the whole body, looks at nothing, answers a constant of our answer's size."""

from collections.abc import Awaitable, Callable
from typing import Any

ANSWER = (
    b'{"version":1,"predictions":[{"id":"00000000000000000000000000000000-0",'
    b'"probability":0.2500000000000001,"label":0,"unseen":[]}]}'
)
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-length", str(len(ANSWER)).encode()),
        (b"content-type", b"application/json"),
    ],
}
BODY = {"type": "http.response.body", "body": ANSWER}

Message = dict[str, Any]


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer any request."""
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(BODY)
