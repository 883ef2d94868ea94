"""`make rollback`: the previous champion serves again, and the present one becomes `previous`."""

from .. import config, locks
from ..cli import Refusal, run
from . import deploy, history
from .store import CHAMPION, PREVIOUS, ROLLED_BACK, Store, Version


def rollback() -> Version:
    """Swap champion and previous; returns the version that serves now.

    The version left is marked, so that no release or retraining lets it back in by itself.
    """
    with locks.exclusive("release"):
        store = Store(config.read("name", str))
        champion, previous = store.holder(CHAMPION), store.holder(PREVIOUS)
        if champion is None or previous is None:
            raise Refusal("there is no previous champion to go back to; `make history` shows why")
        if previous.number == champion.number or previous.rolled_back:
            raise Refusal(
                f"the version before, {previous.number}, was rolled back itself; "
                "`make release FORCE=1` lets a model back in"
            )
        deploy.ensure(store, previous)  # sound, or nothing is changed
        store.mark(champion, ROLLED_BACK, history.now())
        store.crown(previous, champion)
        deploy.point(store, previous)
        reason = f"from version {champion.number} back to version {previous.number}"
        history.record("rolled_back", previous.number, previous.fingerprint, reason)
    return previous


def main() -> None:
    """Roll back and say what serves."""
    print(f"version {rollback().number} is champion again")


if __name__ == "__main__":
    run(main)
