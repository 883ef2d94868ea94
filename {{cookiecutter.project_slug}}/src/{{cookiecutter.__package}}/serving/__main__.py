"""`make serve`: serve the champion on SERVE_HOST (127.0.0.1) and SERVE_PORT (8000)."""

import logging
import socket

import uvicorn

from .. import address, config, paths
from ..cli import Refusal, run
from .answer import Limits
from .app import create_app


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    limits = config.read("serving", Limits)
    host, port = address.service()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        app = create_app(paths.BUNDLES, paths.PREDICTIONS, limits)
        with socket.create_server((host, port)):
            pass  # taken ports are told here, before a model is loaded
    except OSError as error:
        raise Refusal(f"cannot serve on {host}:{port} from {paths.VAR}: {error}") from None
    uvicorn.run(app, host=host, port=port, access_log=False)


if __name__ == "__main__":
    run(main)
