"""From a request's body to the reply's: decode, predict, log. Knows nothing of HTTP."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import getrandbits
from typing import Any, NamedTuple

import msgspec

from ..config import Class, Serving
from . import metrics
from .answers import Record
from .bundle import Model
from .champion import Champion
from .errors import TooLarge, Unavailable
from .explain import Explanation
from .log import Log
from .native import Batcher
from .schema import BadRequest

EXPLAINED = 100  # rows of one request that asks why, about 2 ms each
BLOCK = 256  # rows between which a long request lets others pass, about two milliseconds

log = logging.getLogger(__name__)
encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One prediction for each row of the request, in its order, all by the same model version."""

    version: int
    predictions: list[Any]


class Made(NamedTuple):
    """A single row's prediction, not yet logged."""

    record: Record
    label: Class
    answer: Answer


class Service:
    """The champion and the prediction log, shared by every way in."""

    def __init__(self, var: Path, limits: Serving) -> None:
        self.var = var
        self.limits = limits
        self.champion = Champion(var / "bundles")
        self.log = Log(var / "predictions", limits.log_max_bytes)
        self.feedback = Log(var / "feedback", limits.log_max_bytes)
        self._long = asyncio.Lock()
        self._batcher = Batcher()
        self._log_fails = False

    def model(self) -> Model:
        """The model in service; raises `Unavailable` when there is none."""
        if self.champion.model is None:
            raise Unavailable(self.champion.trouble)
        return self.champion.model

    def close(self) -> None:
        """Close the logs."""
        self.log.close()
        self.feedback.close()

    async def predict(self, body: bytes, request: str = "", explain: bool = False) -> bytes:
        """Answer one row or many; raises what `errors.STATUS` lists."""
        model = self.model()
        found = model.schema.decode(body)
        if isinstance(found, list):
            self.check_count(len(found), EXPLAINED if explain else self.limits.max_rows)
            rows, kept = list[Any](), list[Any]()
            for start in range(0, len(found), BLOCK):
                await asyncio.sleep(0)
                decoded, sent = model.schema.decode_rows(found[start : start + BLOCK], start)
                rows += decoded
                kept += sent
        else:
            rows = kept = [found]
        reasons = await self._reasons(model, rows) if explain else []
        predictions = await self.answer(model, rows, request, kept)
        if reasons:
            predictions = [
                msgspec.structs.replace(prediction, explanation=reason)
                for prediction, reason in zip(predictions, reasons, strict=True)
            ]
        return encode(Answer(model.manifest.version, predictions))

    def at_once(self, body: bytes, request: str = "") -> Made | None:
        """A single row's prediction, to be told after `log_made` has it.

        None when `predict` has to see to it, errors among them.
        """
        model = self.champion.model
        if model is None or not model.quick or body[:1] != b"{":
            return None
        try:
            return _one(model, model.schema.decode(body), request)
        except Exception:  # `predict` meets it too, and its callers tell it
            return None

    def log_made(self, made: Sequence[Made]) -> None:
        """Log what `at_once` has made, in one write; raises `Unavailable` when it has to."""
        self._log([one.record for one in made])
        metrics.TALLY.labels([one.label for one in made])

    def check_count(self, rows: int, most: int) -> None:
        """Raise `BadRequest` for no rows and `TooLarge` for more than the limit."""
        if not rows:
            raise BadRequest("the list of rows is empty")
        if rows > most:
            raise TooLarge(f"{rows} rows; at most {most} fit in one request")

    async def convert(
        self, model: Model, records: Iterable[Mapping[str, Any]], count: int
    ) -> list[Any]:
        """Rows made from values by column name; raises what `errors.STATUS` lists."""
        self.check_count(count, self.limits.max_rows)
        rows = []
        for number, record in enumerate(records):
            if number and number % BLOCK == 0:
                await asyncio.sleep(0)
            rows.append(model.schema.convert_row(record, number))
        return rows

    async def answer(
        self, model: Model, rows: Sequence[Any], request: str, kept: Sequence[Any] = ()
    ) -> list[Any]:
        """Predict and log decoded rows, block by block, so that short requests pass in between.

        `kept` holds the rows as the log keeps them, where that is not as they are.
        """
        kept = kept or rows
        if model.quick and len(rows) == 1:
            made = _one(model, rows[0], request)
            self.log_made([made])
            return made.answer.predictions
        every = None if model.quick else await self._batcher.predict(model, rows)
        predictions: list[Any] = []
        async with self._long:  # two at a time would only make each other and the short ones wait
            for start in range(0, len(rows), BLOCK):
                await asyncio.sleep(0)
                part = slice(start, start + BLOCK)
                found = (every[0][part], every[1][part]) if every else model.predict(rows[part])
                predictions += self._noted(model, kept[part], *found, request)
        return predictions

    async def _reasons(self, model: Model, rows: Sequence[Any]) -> list[Explanation]:
        found = []
        for row in rows:
            await asyncio.sleep(0)
            if model.quick:
                found.append(model.explain(row))
            else:
                found.append(await asyncio.to_thread(model.explain, row))
        return found

    def _noted(
        self,
        model: Model,
        kept: Sequence[Any],
        outputs: Sequence[Any],
        unseen: Sequence[list[str]],
        request: str,
    ) -> list[Any]:
        prefix, answers = f"{getrandbits(128):032x}", model.answers
        told = answers.told
        predictions = [
            told(f"{prefix}-{number}", output, names)
            for number, (output, names) in enumerate(zip(outputs, unseen, strict=True))
        ]
        now, version = datetime.now(UTC), model.manifest.version
        record = answers.record
        records = [
            record(one, now, version, row, request)
            for row, one in zip(kept, predictions, strict=True)
        ]
        self._log(records)
        metrics.TALLY.labels(map(answers.counted, predictions))
        return predictions

    def _log(self, records: Sequence[Record]) -> None:
        try:
            self.log.append(records)
        except OSError as error:
            metrics.LOG_FAILURES.inc()
            closed = self.limits.on_log_failure == "fail_closed"
            if not self._log_fails:  # said once, counted every time
                goes_on = "requests are refused" if closed else "requests are answered all the same"
                log.error("the prediction log cannot be written, %s: %s", goes_on, error)
            self._log_fails = True
            if closed:
                raise Unavailable(f"the prediction could not be logged: {error}") from None
        else:
            self._log_fails = False


def _one(model: Model, row: Any, request: str) -> Made:
    output, unseen = model.one(row)
    answers, version = model.answers, model.manifest.version
    told = answers.told(f"{getrandbits(128):032x}-0", output, unseen)
    record = answers.record(told, datetime.now(UTC), version, row, request)
    return Made(record, answers.counted(told), Answer(version, [told]))
