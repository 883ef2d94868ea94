"""Which bundle serves: a small pointer file, replaced in one step and watched by the service."""

import logging
from datetime import datetime
from pathlib import Path

import msgspec

from ..cli import Refusal
from . import metrics
from .bundle import BadBundle, Model

POINTER = "champion.json"

log = logging.getLogger(__name__)


class Pointer(msgspec.Struct, frozen=True):
    """Name of the bundle folder that serves, and since when (ISO 8601, UTC)."""

    bundle: str
    since: str


def read_pointer(bundles: Path) -> Pointer | None:
    """The pointer of a bundle folder; None before the first promotion, `BadBundle` if broken."""
    try:
        return msgspec.json.decode((bundles / POINTER).read_bytes(), type=Pointer)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise BadBundle(f"{POINTER} is broken ({error}); `make release` writes it anew") from None


class Champion:
    """The model in service. A new one is loaded beside the old and swapped in when sound."""

    def __init__(self, bundles: Path) -> None:
        self._bundles = bundles
        self._seen: Pointer | None = None
        self.since = ""
        self.model: Model | None = None
        self.trouble = "no champion yet: run `make release`"

    def refresh(self) -> None:
        """Follow the pointer; a failure is kept in `trouble` and leaves the old model serving."""
        try:
            pointer = read_pointer(self._bundles)
            if pointer is None:
                return
            if pointer == self._seen:
                self.trouble = ""  # another one was refused, and has been taken back
                return
            model = Model(self._bundles / pointer.bundle)
            if self.model and (changes := self.model.schema.broken_by(model.schema)):
                raise BadBundle(
                    f"{pointer.bundle} {changes}, so the requests of today would fail; "
                    "restart the service once its callers have changed"
                )
            created = datetime.fromisoformat(model.manifest.created).timestamp()
        except (Refusal, OSError) as error:
            self._trouble(str(error))
        except Exception as error:  # a broken bundle may fail in any way; the service must not
            self._trouble(repr(error))
        else:
            self._seen = pointer
            self.model, self.since, self.trouble = model, pointer.since, ""
            metrics.SWAPS.inc()
            metrics.VERSION.set(model.manifest.version)
            metrics.CREATED.set(created)
            log.info("serving version %s (%s)", model.manifest.version, pointer.bundle)

    def _trouble(self, error: str) -> None:
        goes_on = "the old one goes on" if self.model else "none is loaded"
        reason = f"refused a new champion, {goes_on}: {error}"
        if reason != self.trouble:  # said and counted once, tried again at every look
            metrics.SWAP_FAILURES.inc()
            log.error(reason)
        self.trouble = reason
