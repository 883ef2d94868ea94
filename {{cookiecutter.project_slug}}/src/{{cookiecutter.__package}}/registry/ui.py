"""`make ui`: MLflow's pages over the project's tracking store, on this machine only."""

import os
import sys

from .. import paths


def main() -> None:
    """Become the MLflow server, on UI_PORT (5000)."""
    if paths.tracking_uri().startswith("http"):
        print(f"the tracking server shows its own pages: {paths.tracking_uri()}")
        return
    port = os.environ.get("UI_PORT", "5000")
    address = ("--host", "127.0.0.1", "--port", port)
    store = ("--backend-store-uri", paths.tracking_uri())
    command = [sys.executable, "-m", "mlflow", "server", *address, *store, "--workers", "1"]
    os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
