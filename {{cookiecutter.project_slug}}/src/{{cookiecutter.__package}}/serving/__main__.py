"""`make serve`: serve the champion on SERVE_HOST (127.0.0.1) and SERVE_PORT (8000)."""

import logging
import os

import uvicorn

from .. import config, paths
from ..cli import Refusal, run
from .answer import Limits
from .app import create_app


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    limits = config.read("serving", Limits)
    host, port = os.environ.get("SERVE_HOST", "127.0.0.1"), os.environ.get("SERVE_PORT", "8000")
    if not port.isdigit():
        raise Refusal(f"SERVE_PORT is {port!r}, not a port number")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    app = create_app(paths.BUNDLES, paths.PREDICTIONS, limits)
    uvicorn.run(app, host=host, port=int(port), access_log=False)


if __name__ == "__main__":
    run(main)
