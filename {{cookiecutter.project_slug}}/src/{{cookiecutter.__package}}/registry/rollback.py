"""`make rollback`: the previous champion serves again, and the present one becomes `previous`."""

from .. import config, locks
from ..cli import Refusal, run
from . import deploy, history
from .crown import complete, crown
from .store import PREVIOUS, Store, Version, answering

ROLLED = "rolled_back"


def rollback() -> Version:
    """Swap champion and previous; returns the version that serves now.

    The version left is marked, so that no release or retraining lets it back in by itself.
    """
    with locks.exclusive("release"), answering():
        deploy.sweep()
        store = Store(config.read("name", str))
        before = history.champion()
        champion, previous = complete(store), store.holder(PREVIOUS)
        if champion and champion.line.get("event") == ROLLED and before != champion.fingerprint:
            return champion  # a rollback that was interrupted
        if champion is None or previous is None:
            raise Refusal("there is no previous champion to go back to; `make history` shows why")
        if previous.number == champion.number or previous.rolled_back:
            raise Refusal(
                f"the version before, {previous.number}, was rolled back itself; "
                "`make release FORCE=1` lets a model back in"
            )
        deploy.ensure(store, previous)  # sound, or nothing is changed
        reason = f"from version {champion.number} back to version {previous.number}"
        crown(store, previous, champion, ROLLED, reason)
    return previous


def main() -> None:
    """Roll back and say what serves."""
    print(f"version {rollback().number} is champion again")


if __name__ == "__main__":
    run(main)
