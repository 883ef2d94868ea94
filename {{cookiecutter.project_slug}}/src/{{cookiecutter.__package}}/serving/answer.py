"""From a request's body to the reply's: decode, predict, log. Knows nothing of HTTP frameworks."""

import uuid
from datetime import UTC, datetime

import msgspec

from .bundle import Model
from .log import PredictionLog, Record
from .schema import BadRequest


class Limits(msgspec.Struct, frozen=True):
    """What a request may ask for, and how often the service looks for a new champion."""

    max_body_bytes: int
    max_rows: int
    poll_seconds: float


class Unavailable(Exception):
    """The service cannot answer now."""


class TooLarge(Exception):
    """A body or a number of rows over the limit."""


def answer(model: Model, log: PredictionLog, limits: Limits, body: bytes) -> bytes:
    """Decode, predict, log, and only then give the reply's body.

    Raises `BadRequest` for a body that cannot be answered, `Unavailable` when the log refuses it.
    """
    rows = model.schema.decode(body)
    if not rows:
        raise BadRequest("the list of rows is empty")
    if len(rows) > limits.max_rows:
        raise TooLarge(f"{len(rows)} rows; at most {limits.max_rows} fit in one request")
    probabilities = model.predict(rows).tolist()
    request, now = uuid.uuid4().hex, datetime.now(UTC).isoformat(timespec="milliseconds")
    version, threshold = model.manifest.version, model.manifest.threshold
    records = [
        Record(
            id=f"{request}-{number}",
            at=now,
            version=version,
            probability=probability,
            label=int(probability >= threshold),
            row=row,
        )
        for number, (row, probability) in enumerate(zip(rows, probabilities, strict=True))
    ]
    try:
        log.append(records)
    except OSError as error:
        raise Unavailable(f"the prediction could not be logged: {error}") from None
    return msgspec.json.encode(
        {
            "version": version,
            "predictions": [
                {
                    "id": record.id,
                    "probability": record.probability,
                    "label": record.label,
                    "unseen": model.schema.unseen(record.row),
                }
                for record in records
            ],
        }
    )
