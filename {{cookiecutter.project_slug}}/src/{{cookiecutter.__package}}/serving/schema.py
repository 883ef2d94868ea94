"""What a request may hold: rows are decoded straight into a type made from the bundle's columns."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
NAMED = re.compile(r"field `(?P<name>.*)`")


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input: `vocabulary` holds the categories seen in training, None for a number."""

    name: str
    required: bool
    vocabulary: list[str] | None
    description: str


class BadRequest(Exception):
    """A request that cannot be answered; `field` is a place in the body like `[3].distance`."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Schema:
    """Decodes request bodies and encodes rows for a predictor."""

    def __init__(self, columns: Sequence[Column], key: str, time: str) -> None:
        self.columns = columns
        self._attributes = [f"column_{i}" for i in range(len(columns))]
        self._codes = [
            None
            if column.vocabulary is None
            else {value: code for code, value in enumerate([*column.vocabulary, None])}
            for column in columns
        ]
        inputs = [
            (attribute, Annotated[_type(column), msgspec.Meta(description=column.description)])
            for attribute, column in zip(self._attributes, columns, strict=True)
        ]
        # Key and time are not inputs: they are logged, so that labels can be joined later.
        names = dict(zip(self._attributes, (c.name for c in columns), strict=True))
        self.row_type = msgspec.defstruct(
            "Row",
            [*inputs, ("key", str | None, None), ("time", str | None, None)],
            rename=names | {"key": key, "time": time},
            forbid_unknown_fields=True,
            frozen=True,
            kw_only=True,
        )
        one_or_many: Any = self.row_type | list[self.row_type]  # type: ignore[name-defined]
        self._decoder = msgspec.json.Decoder(one_or_many)

    def decode(self, body: bytes) -> list[Any]:
        """The rows of a body, which holds one (an object) or many (a list of objects).

        Raises `BadRequest`, which names the column.
        """
        try:
            found = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise _explained(str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            _refuse_nan(body)
            raise BadRequest(f"the body is not JSON: {error}") from None
        return found if isinstance(found, list) else [found]

    def encode(self, rows: Sequence[Any]) -> list[NDArray[Any]]:
        """Decoded rows as one array a column, in the predictor's order."""
        return self._encode([getattr(row, a) for row in rows] for a in self._attributes)

    def encode_columns(self, table: Mapping[str, Sequence[Any]]) -> list[NDArray[Any]]:
        """Columns of a table, with None for missing, as the predictor's arrays."""
        return self._encode(table[column.name] for column in self.columns)

    def unseen(self, row: Any) -> list[str]:
        """Columns of a row whose category was never seen in training."""
        return [
            column.name
            for column, codes, attribute in zip(
                self.columns, self._codes, self._attributes, strict=True
            )
            if codes is not None and getattr(row, attribute) not in codes
        ]

    def _encode(self, columns: Iterable[Sequence[Any]]) -> list[NDArray[Any]]:
        return [
            np.array(values, dtype=np.float64)
            if codes is None
            else np.array([codes.get(value, len(codes)) for value in values])
            for values, codes in zip(columns, self._codes, strict=True)
        ]


def _type(column: Column) -> Any:
    kind = float if column.vocabulary is None else str
    return kind if column.required else kind | None


def _explained(text: str) -> BadRequest:
    match = PLACE.match(text)
    what, path = (match["what"], match["path"] or "") if match else (text, "")
    named = NAMED.search(what)
    if "missing required" in what and named:
        return BadRequest(f"column `{named['name']}` is missing", _place(path, named["name"]))
    if "unknown field" in what and named:
        return BadRequest(
            f"column `{named['name']}` is unknown; /openapi.json lists the columns",
            _place(path, named["name"]),
        )
    where = path.partition(".")[2]  # what follows the number of the row
    return BadRequest(f"column `{where}`: {what}" if where else f"the body: {what}", _place(path))


def _place(path: str, name: str = "") -> str | None:
    return f"{path}.{name}".strip(".") or None


def _refuse_nan(body: bytes) -> None:
    """Name the column of a NaN or infinity: Python's clients write them, JSON has none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return
    rows = found if isinstance(found, list) else [found]
    for number, row in enumerate(rows):
        for name, value in row.items() if isinstance(row, dict) else ():
            if isinstance(value, float) and not math.isfinite(value):
                place = _place(f"[{number}]" if isinstance(found, list) else "", name)
                raise BadRequest(
                    f"column `{name}` is {value}, which JSON does not have; "
                    "send null for a missing value",
                    place,
                )
