"""Why a request is not answered, and the one shape in which every caller is told."""

import re
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from .schema import BadRequest


class Error(msgspec.Struct, frozen=True):
    """`field` is the place in the body, such as `[3].distance`, when there is one."""

    error: str
    field: str | None = None


class Unavailable(Exception):
    """The service cannot answer now."""


class Busy(Exception):
    """More requests at a time than the limit."""


class TooLarge(Exception):
    """More rows than the limit, or a body over it that has been read."""


class BodyTooLarge(Exception):
    """A body over the limit, of which the rest has not been read."""


class TooSlow(Exception):
    """A request that did not come to its end in time."""


class Unauthorized(Exception):
    """No API key, or a wrong one."""


STATUS: dict[type[Exception], int] = {
    BadRequest: 400,
    Unauthorized: 401,
    TooSlow: 408,
    TooLarge: 413,
    BodyTooLarge: 413,
    ClientDisconnect: 499,  # nobody is told; nginx counts it so
    Busy: 503,
    Unavailable: 503,
}
HEADERS: dict[type[Exception], dict[str, str]] = {
    Unauthorized: {"www-authenticate": "Bearer"},
    # Part of the body may still be on its way: what follows on the connection is not a request.
    TooSlow: {"connection": "close"},
    BodyTooLarge: {"connection": "close"},
    Busy: {"retry-after": "1"},
    Unavailable: {"retry-after": "5"},
}


def told(error: Exception) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of the answer to a request that failed with this error."""
    if isinstance(error, HTTPException):  # an unknown path or method
        status, text, headers = error.status_code, str(error.detail), dict(error.headers or {})
    elif type(error) in STATUS:
        status, text, headers = STATUS[type(error)], str(error), HEADERS.get(type(error), {})
    else:
        status, text, headers = 500, "the service has failed; its log says why", {}
    return status, msgspec.json.encode(Error(text, getattr(error, "field", None))), headers


def reason(error: Exception) -> str:
    """What an error is called in the figures: busy, bad_request, not_found, failure and so on."""
    if isinstance(error, HTTPException):
        return HTTPStatus(error.status_code).name.lower()
    name = type(error).__name__ if type(error) in STATUS else "Failure"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
