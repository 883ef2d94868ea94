"""Where the service listens, and where its callers find it."""

import os

from .cli import Refusal


def service() -> tuple[str, int]:
    """Host and port of the service: SERVE_HOST (127.0.0.1) and SERVE_PORT (8000)."""
    host, port = os.environ.get("SERVE_HOST", "127.0.0.1"), os.environ.get("SERVE_PORT", "8000")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise Refusal(f"SERVE_PORT is {port!r}, not a port between 1 and 65535")
    return host, int(port)
