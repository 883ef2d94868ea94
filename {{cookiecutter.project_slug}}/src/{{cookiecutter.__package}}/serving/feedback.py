"""What turned out to be true, told by prediction id; the monitor joins it to the answers."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from .answers import Truth
from .errors import Unavailable
from .log import Feedback
from .schema import UNREADABLE, explained
from .service import Service


class Accepted(msgspec.Struct, frozen=True):
    """How many labels were written down."""

    accepted: int


def take(service: Service, body: bytes) -> bytes:
    """Write one label (an object) or many (a list) to the feedback log.

    Raises `BadRequest`, `TooLarge`, or `Unavailable` when the log cannot be written.
    """
    model = service.champion.model
    truth: Any = model.answers.truth if model else Truth
    try:
        found = msgspec.json.decode(body, type=truth | list[truth])
    except UNREADABLE as error:
        raise explained(error, body, noun="field") from None
    truths = found if isinstance(found, list) else [found]
    service.check_count(len(truths), service.limits.max_rows)
    now = datetime.now(UTC)
    try:
        service.feedback.append([Feedback(one.id, now, one.label) for one in truths])
    except OSError as error:
        raise Unavailable(f"the feedback could not be written: {error}") from None
    return msgspec.json.encode(Accepted(len(truths)))
