"""`make rollback`: the previous champion serves again, and the present one becomes `previous`."""

from .. import alerts, config, files, locks, paths
from ..cli import Refusal, run
from . import deploy, history
from .crown import complete, crown
from .store import PREVIOUS, Store, Version, answering

ROLLED = "rolled_back"


def rollback(leaving: int | None = None, because: str = "") -> Version:
    """Swap champion and previous; returns the version that serves now.

    The version left is marked, so that no release or retraining lets it back in by itself. Who
    does this unattended names the version that is to be left, and tells why.
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
        if leaving and champion.number != leaving:
            raise Refusal(f"version {champion.number} has become champion meanwhile")
        deploy.ensure(store, previous)  # sound, or nothing is changed
        reason = f"from version {champion.number} back to version {previous.number}"
        if because:
            reason += f", automatically: {because}"
        crown(store, previous, champion, ROLLED, reason)
    return previous


def told() -> str | None:
    """Tell the alert hook of the rollback just done; returns what `alerts.tell` does."""
    line = files.read_lines(paths.HISTORY)[-1]
    return alerts.tell("rolled_back", line["reason"], line, line["version"])


def main() -> None:
    """Roll back and say what serves."""
    print(f"version {rollback().number} is champion again")
    told()


if __name__ == "__main__":
    run(main)
