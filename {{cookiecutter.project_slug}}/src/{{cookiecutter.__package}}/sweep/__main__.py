"""The command: `make sweep`, or `python -m <package>.sweep model=... sweep.n_trials=...`."""

import sys

from ..cli import run
from .stop import Stop


def main() -> int:
    """Sweep; what takes seconds to import comes when Ctrl+C is listened to."""
    with Stop().listening() as stop:
        from .command import sweep

        return sweep(sys.argv[1:], stop)


if __name__ == "__main__":
    run(main)
