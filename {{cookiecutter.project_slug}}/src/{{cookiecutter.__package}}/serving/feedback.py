"""What turned out to be true, told by prediction id; the monitor joins it to the answers."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

from .errors import Unavailable
from .log import Feedback
from .schema import UNREADABLE, explained
from .service import Service


class Truth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The true label of the row answered under this id."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}-[0-9]{1,9}$")]
    label: Literal[0, 1]


class Accepted(msgspec.Struct, frozen=True):
    """How many labels were written down."""

    accepted: int


def take(service: Service, body: bytes) -> bytes:
    """Write one label (an object) or many (a list) to the feedback log.

    Raises `BadRequest`, `TooLarge`, or `Unavailable` when the log cannot be written.
    """
    try:
        found = msgspec.json.decode(body, type=Truth | list[Truth])
    except UNREADABLE as error:
        raise explained(error, body, noun="field") from None
    truths = found if isinstance(found, list) else [found]
    service.check_count(len(truths), service.limits.max_rows)
    now = datetime.now(UTC)
    try:
        service.feedback.append([Feedback(truth.id, now, truth.label) for truth in truths])
    except OSError as error:
        raise Unavailable(f"the feedback could not be written: {error}") from None
    return msgspec.json.encode(Accepted(len(truths)))
