"""For models without an exact portable form: scikit-learn itself, asked once for many requests.

Slower by far (about 7 ms a call, however few the rows), and the one place where the service imports
scikit-learn and pandas: its environment is `locks/serve-native.txt`.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..config import Task
from .predictor import Columns, Floats, Output, Values, alone

MODEL = "model.skops"
MOST = 10_000  # rows in one call
UNSEEN = "\0"  # stands for any category that training has not seen


class Native:
    """A predictor around the fitted pipeline, loaded by skops: no code of the file is run.

    `vocabularies` holds a list of categories for each column, None for a number.
    """

    def __init__(
        self,
        path: Path,
        trusted: list[str],
        vocabularies: dict[str, list[str] | None],
        task: Task = "binary",
    ) -> None:
        from skops.io import load

        self._pipeline = load(path, trusted=trusted)
        self._task = task
        missing = _missing(self._pipeline)
        self._categories = {
            name: None if values is None else np.array([*values, missing, UNSEEN], dtype=object)
            for name, values in vocabularies.items()
        }

    def predict(self, columns: Columns) -> Floats:
        """Answers, shape (n,) or (n, classes), for columns of length n."""
        import pandas as pd

        from ..tasks import KINDS

        table = {
            name: values if categories is None else categories[values]
            for (name, categories), values in zip(self._categories.items(), columns, strict=True)
        }
        return KINDS[self._task].predict(self._pipeline, pd.DataFrame(table))

    def one(self, values: Values) -> Output:
        """The answer to a single row."""
        found: Output = self.predict(alone(values))[0].tolist()
        return found


def _missing(pipeline: Any) -> Any:
    """What stood for a missing category in training: to scikit-learn, None and NaN are two."""
    encoders = (encoder for _, encoder, _ in pipeline["columns"].transformers_)
    learnt = [values for encoder in encoders for values in getattr(encoder, "categories_", ())]
    return None if any(value is None for values in learnt for value in values) else np.nan


class Batcher:
    """Gathers the requests that come while the model is busy, and asks it once for all of them."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Any, Sequence[Any], asyncio.Future[Any]]] = []
        self._task: asyncio.Task[None] | None = None

    async def predict(self, model: Any, rows: Sequence[Any]) -> tuple[list[Any], list[list[str]]]:
        """What `Model.predict` says of the rows, without holding up others in the meantime."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((model, rows, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        found: tuple[list[float], list[list[str]]] = await future
        return found

    async def _work(self) -> None:
        while self._waiting:
            model, count, taken = self._waiting[0][0], 0, 0
            for other, rows, _ in self._waiting:
                if other is not model or (count and count + len(rows) > MOST):
                    break
                count, taken = count + len(rows), taken + 1
            batch, self._waiting = self._waiting[:taken], self._waiting[taken:]
            await self._answer(batch)

    async def _answer(self, batch: list[tuple[Any, Sequence[Any], asyncio.Future[Any]]]) -> None:
        model, _, future = batch[0]
        every = [row for _, rows, _ in batch for row in rows]
        try:
            probabilities, unseen = await asyncio.to_thread(model.predict, every)
        except Exception as error:
            if len(batch) > 1:  # one request's rows must not fail another's
                for one in batch:
                    await self._answer([one])
            elif not future.done():
                future.set_exception(error)
            return
        at = 0
        for _, rows, future in batch:
            if not future.done():  # its caller may be gone
                part = slice(at, at + len(rows))
                future.set_result((probabilities[part], unseen[part]))
            at += len(rows)
