"""`make serve`: serve the champion; `address` names the variables that say where and how."""

import math
import os
import socket
from contextlib import ExitStack, suppress
from tempfile import TemporaryDirectory

import uvicorn
from uvicorn.supervisors import Multiprocess

from .. import address, config, paths
from ..cli import Refusal, run
from . import logs
from .app import create_app
from .front import Front
from .lane import Lane


def create() -> Front:
    """The service of this project; called once in each worker."""
    return create_app(paths.VAR, config.read("serving", config.Serving), address.api_key())


class Workers(Multiprocess):
    """uvicorn's supervisor, which lets go of the socket before its workers do.

    Else callers who come while the last answers are given would be neither let in nor refused.
    """

    def terminate_all(self) -> None:
        """Tell the workers to end."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()


def main() -> None:
    """Serve until SIGINT or SIGTERM; requests in flight are answered first."""
    limits = config.read("serving", config.Serving)
    host, port = address.service()
    workers = address.workers()
    try:
        with socket.create_server((host, port)):
            pass  # a taken port is told here, before a model is loaded
        for name in ("predictions", "feedback"):
            (paths.VAR / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(f"cannot serve on {host}:{port} from {paths.VAR}: {error}") from None
    with ExitStack() as stack:
        if workers > 1:  # each worker keeps its figures where the others can add them up
            folder = stack.enter_context(TemporaryDirectory(prefix="metrics-"))
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        settings = uvicorn.Config(
            f"{__package__}.__main__:create",
            factory=True,
            http=Lane,
            ws="none",
            proxy_headers=False,
            host=host,
            port=port,
            workers=workers,
            access_log=False,
            server_header=False,
            log_config=logs.settings(),
            timeout_graceful_shutdown=math.ceil(limits.request_seconds),
        )
        stack.enter_context(suppress(KeyboardInterrupt))
        if workers > 1:
            Workers(settings, [settings.bind_socket()]).run()
        else:
            uvicorn.Server(settings).run()


if __name__ == "__main__":
    run(main)
