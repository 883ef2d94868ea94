"""What a request may hold: rows are decoded straight into a type made from the bundle's columns."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..cli import Refusal
from ..features import CannotMake, code, maker

PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
NAMED = re.compile(r"field `(?P<name>.*)`")
HERE = "the code that runs here"


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One input: `vocabulary` holds the categories seen in training, None for a number.

    `function` makes it from the columns that `of` names; it is in no request. `code` tells whether
    the function is still the one that training has called, see `features.code`.
    """

    name: str
    required: bool
    vocabulary: list[str] | None
    description: str
    function: str | None = None
    of: list[str] = []
    code: str = ""


class BadRequest(Exception):
    """A request that cannot be answered; `field` is a place in the body like `[3].distance`."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Codes(dict[str | None, int]):
    """The code of each category, and of a missing one; all others have the next number."""

    def __missing__(self, value: object) -> int:
        return len(self)


class Schema:
    """Decodes request bodies and encodes rows for a predictor.

    `columns` are the predictor's; `arguments` are in requests only for the functions that make
    some of these. `key` and `time` are no inputs: they are logged, so labels can be joined later;
    they may be left out unless they are arguments too.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        key: str,
        time: str | None,
        arguments: Sequence[Column] = (),
    ) -> None:
        self.columns = columns
        self.roles = (key, time)
        self.asked = [*(column for column in columns if not column.function), *arguments]
        self._made = derive(columns, [column.name for column in self.asked])
        self._codes = [
            None
            if column.vocabulary is None
            else Codes({value: code for code, value in enumerate([*column.vocabulary, None])})
            for column in columns
        ]
        fields = [(column.name, _annotated(column)) for column in self.asked]
        named = {name: role for name, role in zip(self.roles, ("key", "time"), strict=True) if name}
        given = {name for name, _ in fields}
        roles = [(name, str | None) for name in named if name not in given]
        attributes = [named.get(name, f"column_{i}") for i, (name, _) in enumerate(fields + roles)]
        self.row_type = msgspec.defstruct(
            "Row",
            [
                (attribute, type_) if place < len(fields) else (attribute, type_, None)
                for place, (attribute, (_, type_)) in enumerate(
                    zip(attributes, fields + roles, strict=True)
                )
            ],
            rename=dict(zip(attributes, (name for name, _ in fields + roles), strict=True)),
            forbid_unknown_fields=True,
            frozen=True,
            gc=False,
            kw_only=True,
        )
        self._inputs = len(fields)
        self._optional = attributes[len(fields) :]
        # The rows of a list are looked at one by one, so that a long one can make room in between.
        one_or_many: Any = self.row_type | list[msgspec.Raw]
        self._decoder = msgspec.json.Decoder(one_or_many)
        self._row_decoder = msgspec.json.Decoder(self.row_type)
        self._rows_decoder = msgspec.json.Decoder(list[self.row_type])  # type: ignore[name-defined]
        self._categorical = [
            (place, columns[place].name, codes)
            for place, codes in enumerate(self._codes)
            if codes is not None
        ]

    def decode(self, body: bytes) -> Any:
        """A body's row (a struct) or its rows (a list for `decode_rows`).

        Raises `BadRequest`, which names the column.
        """
        try:
            return self._decoder.decode(body)
        except UNREADABLE as error:
            raise explained(error, body) from None

    def decode_rows(self, raws: Sequence[Any], first: int) -> tuple[list[Any], Sequence[Any]]:
        """Some rows of a list, the first of this number, decoded and as the log keeps them.

        Raises `BadRequest`, naming the column.
        """
        sent = b",".join(raws)
        try:
            found: list[Any] = self._rows_decoder.decode(b"[" + sent + b"]")
        except UNREADABLE:
            found = [self._decode_row(raw, first + at) for at, raw in enumerate(raws)]
        return found, raws if self._plain(sent, found) else found

    def _plain(self, sent: bytes, rows: Sequence[Any]) -> bool:
        """Whether rows were sent on one line, with no column twice, of which only one is read.

        Writing them as they came takes half the time of writing their numbers anew.
        """
        given = sum(getattr(rows[0], one) is not None for one in self._optional)
        columns = (self._inputs + given) * len(rows)
        return sent.count(b'":') == columns and b"\n" not in sent and b"\r" not in sent

    def _decode_row(self, raw: msgspec.Raw, number: int) -> Any:
        try:
            return self._row_decoder.decode(raw)
        except UNREADABLE as error:
            raise explained(error, bytes(raw), f"[{number}]") from None

    def convert_row(self, values: Mapping[str, Any], number: int) -> Any:
        """The row made from values by column name, as a client of another protocol sends it."""
        for name, value in values.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise _not_finite(name, value, f"[{number}]")
        try:
            return msgspec.convert(values, self.row_type)
        except msgspec.ValidationError as error:
            raise explained(error, row=f"[{number}]") from None

    def broken_by(self, other: "Schema") -> str:
        """Why requests made for this schema would not fit another one; empty when they would."""
        return next(self.changes(other), "")

    def changes(self, other: "Schema") -> Iterator[str]:
        """All that another schema does with requests that this one does not."""
        old = {column.name: column for column in self.asked}
        new = {column.name: column for column in other.asked}
        if lost := sorted(set(old) - set(new)):
            yield f"takes no {', '.join(lost)} any more"
        if self.roles != other.roles:
            new_roles, old_roles = (" and ".join(filter(None, x.roles)) for x in (other, self))
            yield f"takes {new_roles} in place of {old_roles}"
        for name, column in new.items():
            if name not in old:
                yield f"needs {name}"
            elif (column.vocabulary is None) != (old[name].vocabulary is None):
                yield f"takes {name} as another type"
            elif column.required and not old[name].required:
                yield f"does not allow {name} to be missing any more"

    def encode_row(self, row: Any) -> tuple[list[Any], list[str]]:
        """A decoded row as `Predictor.one` takes it, and the columns whose category is unseen."""
        values = list(msgspec.structs.astuple(row)[: self._inputs])  # without key and time
        if self._made:
            values = self._made(values)
        unseen = []
        for place, name, codes in self._categorical:
            code = codes.get(values[place])
            if code is None:
                code = len(codes)
                unseen.append(name)
            values[place] = code
        return values, unseen

    def encode(self, rows: Sequence[Any]) -> tuple[list[NDArray[Any]], list[list[str]]]:
        """Decoded rows as one array a column, and for each row its unseen categories' columns."""
        given = list(zip(*map(msgspec.structs.astuple, rows), strict=True))[: self._inputs]
        arrays = self._encoded(self._all(given))
        unseen: list[list[str]] = [[]] * len(rows)
        for place, name, codes in self._categorical:
            for number in np.flatnonzero(arrays[place] == len(codes)).tolist():
                unseen[number] = [*unseen[number], name]
        return arrays, unseen

    def encode_columns(self, table: Mapping[str, Sequence[Any]]) -> list[NDArray[Any]]:
        """Columns of a table, with None for missing, as the predictor's arrays.

        What functions make is taken from the table where it holds all of it already.
        """
        if all(column.name in table for column in self.columns):
            return self._encoded([table[column.name] for column in self.columns])
        return self._encoded(self._all([table[column.name] for column in self.asked]))

    def _all(self, given: list[Any]) -> list[Any]:
        """The predictor's columns from those of requests."""
        if not self._made:
            return given
        return list(zip(*map(self._made, zip(*given, strict=True)), strict=True))

    def _encoded(self, columns: Sequence[Sequence[Any]]) -> list[NDArray[Any]]:
        return [
            np.array(values, dtype=np.float64)
            if codes is None
            else np.fromiter(map(codes.__getitem__, values), np.int64, len(values))
            for values, codes in zip(columns, self._codes, strict=True)
        ]


def _annotated(column: Column) -> Any:
    kind = float if column.vocabulary is None else str
    type_: Any = kind if column.required else kind | None
    return Annotated[type_, msgspec.Meta(description=column.description)]


def derive(
    columns: Sequence[Column], asked: Sequence[str]
) -> Callable[[Sequence[Any]], list[Any]] | None:
    """A function from a request's values to the predictor's; None when they are the same.

    `Refusal` when the code at hand lacks a function, or has another one than training has called.
    """
    own = [(column, column.function) for column in columns if column.function]
    if not own:
        return None
    makers = [
        (_maker(column, function), [asked.index(name) for name in column.of])
        for column, function in own
    ]
    every = [*asked, *(column.name for column, _ in own)]
    order = [every.index(column.name) for column in columns]

    def made(values: Sequence[Any]) -> list[Any]:
        try:
            found = [make(*[values[i] for i in places]) for make, places in makers]
        except CannotMake as error:
            raise BadRequest(str(error)) from None
        both = [*values, *found]
        return [both[i] for i in order]

    return made


def _maker(column: Column, function: str) -> Callable[..., Any]:
    found = code(function, HERE)
    if column.code and found and found != column.code:
        raise Refusal(
            f"{HERE}: {function}, which makes {column.name!r}, is not the one the model was "
            "trained with; a function that is changed after a release needs another name"
        )
    return maker(column.name, function, column.vocabulary is None, HERE)


def explained(
    error: Exception, body: bytes = b"", row: str = "", noun: str = "column"
) -> BadRequest:
    """What msgspec says, in words for the caller; `row` is the row's place in the body."""
    if not isinstance(error, msgspec.ValidationError):
        return _nan(body, row) or BadRequest(f"the body is not JSON: {error}", row or None)
    match = PLACE.match(str(error))
    what, path = (match["what"], match["path"] or "") if match else (str(error), "")
    place = path.removeprefix(".")
    named = NAMED.search(what)
    if named and ("missing required" in what or "unknown field" in what):
        column = named["name"]
        place = f"{place}.{column}" if place else column
        if "unknown field" in what:
            said = f"{noun} `{column}` is unknown; /openapi.json lists the {noun}s"
        else:
            said = f"{noun} `{column}` is missing"
    elif place:
        said = f"{noun} `{place}`: {what}"
    else:
        said = f"the {'row' if row else 'body'}: {what}"
    return BadRequest(said, f"{row}.{place}" if row and place else row or place or None)


def _nan(body: bytes, row: str) -> BadRequest | None:
    """Name the column of a NaN or infinity: Python's clients write them, JSON has none."""
    try:
        found = json.loads(body[:1_000_000])  # looked for in bodies of a reasonable length only
    except (ValueError, RecursionError):
        return None
    rows = found if isinstance(found, list) else [found]
    for number, values in enumerate(rows):
        place = f"[{number}]" if isinstance(found, list) else row
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, float) and not math.isfinite(value):
                return _not_finite(name, value, place)
    return None


def _not_finite(name: str, value: float, place: str) -> BadRequest:
    return BadRequest(
        f"column `{name}` is {value}, which JSON does not have; send null for a missing value",
        f"{place}.{name}" if place else name,
    )
