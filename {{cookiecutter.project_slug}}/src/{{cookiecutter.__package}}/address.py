"""How the service listens and its callers reach it: from the environment, never from a file."""

import os

from .cli import Refusal


def service() -> tuple[str, int]:
    """Host and port of the service: SERVE_HOST (127.0.0.1) and SERVE_PORT (8000)."""
    host, port = os.environ.get("SERVE_HOST", "127.0.0.1"), os.environ.get("SERVE_PORT", "8000")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise Refusal(f"SERVE_PORT is {port!r}, not a port between 1 and 65535")
    return host, int(port)


def workers() -> int:
    """Processes of the service, one a core: SERVE_WORKERS (1)."""
    found = os.environ.get("SERVE_WORKERS", "1")
    if not (found.isascii() and found.isdecimal() and 0 < int(found) <= 64):
        raise Refusal(f"SERVE_WORKERS is {found!r}, not a number between 1 and 64")
    return int(found)


def api_key() -> str:
    """The key that requests must show, SERVE_API_KEY; empty when none is asked for."""
    key = os.environ.get("SERVE_API_KEY", "")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise Refusal("SERVE_API_KEY holds a space or a character that no header can carry")
    return key


def authorization() -> dict[str, str]:
    """The header that shows the key; none when none is asked for."""
    return {"Authorization": f"Bearer {api_key()}"} if api_key() else {}
