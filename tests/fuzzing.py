"""Requests that nobody should send: rows bent in every way, bodies, tensors, heads and bytes."""

import json
import math
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .service import tensors

INFER = "/v2/models/flight-delays/infer"
LENGTH = "Inference-Header-Content-Length"
DEEP = (10, 100, 1_000, 100_000)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 0.1, -0.0, 1e-320, 1e308, 2**31, 2**63, -(2**64), 10**400),
    *(
        math.nan,
        math.inf,
        -math.inf,
        "",
        " ",
        "0",
        "NaN",
        "null",
        "\0",
        "\ud800",
        "é",
        "\U0001d518🛫",
        "a" * 5000,
    ),
    *([], [[]], {}, [None], {"": None}, [1, "a", None], {"a": {"b": []}}),
)


class Case(NamedTuple):
    """One request."""

    path: str
    body: bytes
    headers: dict[str, str]


def cases(rows: list[dict[str, Any]], seed: int) -> Iterator[Case]:
    """Endless requests, the same for the same seed."""
    chosen = random.Random(seed)  # noqa: S311 - not a secret
    while True:
        yield chosen.choice((_predict, _mlflow, _json_tensors, _binary_tensors, _raw))(chosen, rows)


def _some(chosen: random.Random, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [dict(row) for row in chosen.sample(rows, chosen.choice((1, 1, 2, 5)))]


def _predict(chosen: random.Random, rows: list[dict[str, Any]]) -> Case:
    found: Any = _some(chosen, rows)
    if len(found) == 1 and chosen.random() < 0.7:
        (found,) = found
    path = chosen.choice(("/predict", "/predict", "/predict", "/predict?explain=true", "/feedback"))
    if path == "/feedback":
        found = {"id": "0" * 32 + "-0", "label": 1}
    return Case(path, _written(chosen, _bent(chosen, found)), {})


def _mlflow(chosen: random.Random, rows: list[dict[str, Any]]) -> Case:
    found = _some(chosen, rows)
    names = list(found[0])
    values = [list(row.values()) for row in found]
    forms: tuple[Any, ...] = (
        {"dataframe_split": {"index": [0], "columns": names, "data": values}},
        {"dataframe_records": found},
        {"instances": values},
        {"instances": found},
        {"inputs": {name: [row[name] for row in found] for name in names}},
        {"inputs": found[0]},
    )
    body = _written(chosen, _bent(chosen, chosen.choice(forms)))
    return Case("/invocations", body, {"Content-Type": "application/json"})


def _json_tensors(chosen: random.Random, rows: list[dict[str, Any]]) -> Case:
    inference = {"id": "1", "inputs": tensors(_some(chosen, rows)), "outputs": [{"name": "label"}]}
    return Case(INFER, _written(chosen, _bent(chosen, inference)), {})


def _binary_tensors(chosen: random.Random, rows: list[dict[str, Any]]) -> Case:
    inputs = tensors(_some(chosen, rows))
    data = b""
    for tensor in inputs:
        part = _packed(tensor["datatype"], tensor.pop("data"))
        if chosen.random() < 0.05:
            part = part[: chosen.randrange(len(part) + 1)] + chosen.randbytes(chosen.choice((0, 3)))
        if chosen.random() < 0.05:
            kinds = ("FP16", "FP32", "INT8", "UINT64", "BOOL", "BYTES", "BF16", "", 7)
            tensor["datatype"] = chosen.choice(kinds)
        size: Any = len(part)
        if chosen.random() < 0.05:
            size = chosen.choice((0, size + 1, size - 1, -1, 2**70, *VALUES))
        tensor["parameters"] = {"binary_data_size": size}
        data += part
    inference: Any = {"inputs": inputs}
    if chosen.random() < 0.5:
        inference = _bent(chosen, inference)
    text = json.dumps(inference).encode()
    length: Any = len(text)
    if chosen.random() < 0.1:
        length = chosen.choice((0, length - 1, length + 1, 10**9, -1, "x", "1_0", "٣", "²"))
    if chosen.random() < 0.2:
        data = _cut_up(chosen, data)
    return Case(INFER, text + data, {LENGTH: str(length).encode().decode("latin-1")})


def _packed(datatype: str, values: list[Any]) -> bytes:
    if datatype == "FP64":
        return b"".join(struct.pack("<d", math.nan if v is None else v) for v in values)
    texts = (str(value).encode() for value in values)
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def _raw(chosen: random.Random, rows: list[dict[str, Any]]) -> Case:
    depth = chosen.choice(DEEP)
    bodies: tuple[Callable[[], bytes], ...] = (
        lambda: b"[" * depth,
        lambda: b"[" * depth + b"]" * depth,
        lambda: b'{"a":' * depth + b"1" + b"}" * depth,
        lambda: b'{"dataframe_records":' + b"[" * depth + b"]" * depth + b"}",
        lambda: (
            b'{"inputs":[{"name":"distance","shape":[1],"datatype":"FP64","data":'
            + b"[" * depth
            + b"1"
            + b"]" * depth
            + b"}]}"
        ),
        lambda: b"9" * depth,
        lambda: b'{"distance":1e' + b"9" * min(depth, 5000) + b"}",
        lambda: chosen.randbytes(chosen.randrange(300)),
        lambda: json.dumps(rows[0]).encode(chosen.choice(("utf-16", "utf-32", "utf-8-sig"))),
        lambda: b"",
        lambda: b" " * depth,
        lambda: b'"' + "\U0010ffff".encode() * chosen.randrange(100) + b"\xff" + b'"',
        lambda: json.dumps(rows[0]).encode()[: chosen.randrange(200)],
        lambda: _cut_up(chosen, json.dumps(chosen.choice(rows)).encode()),
    )
    path = chosen.choice(("/predict", "/invocations", INFER, "/feedback"))
    headers = {LENGTH: str(chosen.randrange(400))} if chosen.random() < 0.2 else {}
    return Case(path, chosen.choice(bodies)(), headers)


def _bent(chosen: random.Random, value: Any) -> Any:
    """A JSON value with some of its parts replaced, renamed, left out, doubled or wrapped."""
    for _ in range(chosen.choice((0, 1, 1, 1, 2, 5))):
        value = _once(chosen, value)
    return value


def _once(chosen: random.Random, value: Any) -> Any:
    if chosen.random() < 0.7 and isinstance(value, dict) and value:
        key = chosen.choice(list(value))
        return value | {key: _once(chosen, value[key])}
    if chosen.random() < 0.7 and isinstance(value, list) and value:
        at = chosen.randrange(len(value))
        return [*value[:at], _once(chosen, value[at]), *value[at + 1 :]]
    ways: list[Callable[[], Any]] = [lambda: chosen.choice(VALUES), lambda: [value]]
    if isinstance(value, dict) and value:
        key = chosen.choice(list(value))
        rest = {name: found for name, found in value.items() if name != key}
        new = chosen.choice(("", "x", key.upper(), key + " ", "\ud800", "a" * 5000, "$.a`b"))
        ways += [lambda: rest, lambda: rest | {new: value[key]}, lambda: value | {new: 1}]
    if isinstance(value, list):
        ways += [lambda: value * 2, lambda: value[1:], lambda: [*value, chosen.choice(VALUES)]]
    return chosen.choice(ways)()


def _written(chosen: random.Random, value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=chosen.random() < 0.5)
    body = text.encode("utf-8", "surrogatepass")
    return _cut_up(chosen, body) if chosen.random() < 0.1 else body


def _cut_up(chosen: random.Random, body: bytes) -> bytes:
    """Bytes with one place flipped, left out, doubled or filled with others."""
    at = chosen.randrange(len(body) + 1)
    to = min(len(body), at + chosen.choice((1, 2, 10)))
    ways = (
        body[:at] + bytes(byte ^ 1 << chosen.randrange(8) for byte in body[at:to]) + body[to:],
        body[:at] + body[to:],
        body[:to] + body[at:],
        body[:at] + chosen.randbytes(3) + body[at:],
        body[:at],
    )
    return chosen.choice(ways)


def heads(body: bytes, seed: int) -> Iterator[bytes]:
    """Endless heads of a POST to `/predict`, with the body, that no browser would write.

    The path is followed by `{}`, so that the same head can be sent both ways through the service.
    """
    chosen = random.Random(seed)  # noqa: S311 - not a secret
    plain = [
        b"Host: localhost",
        b"Content-Length: %d" % len(body),
        b"Content-Type: application/json",
    ]
    more = (
        *(b"Content-Length: %d" % length for length in (0, 1, len(body), len(body) + 1, 10**12)),
        *(
            b"Content-Length: " + text
            for text in (b"-1", b"+5", b"0x10", b"1_0", b"5, 5", b"", b"\xb2")
        ),
        *(
            b"Transfer-Encoding: " + text
            for text in (b"chunked", b"gzip", b"identity, chunked", b"")
        ),
        *(
            b"Connection: " + text
            for text in (b"close", b"keep-alive", b"upgrade", b"Keep-Alive, x")
        ),
        *(
            b"X-Request-Id: " + text
            for text in (b"a", b"a b", b"\xff", b"a" * 101, b'"', b"%0d%0a")
        ),
        *(b"Expect: 100-continue", b"Expect: miracles", b"Upgrade: websocket", b"Upgrade: h2c"),
        *(b"Authorization: Bearer x", b"Content-Encoding: gzip", b"Accept: */*", b": x", b"x", b""),
        *(
            b" folded: line",
            b"Host : x",
            b"H\x00st: x",
            b"Host: \x00",
            b"Host: a\nb: c",
            b"\r",
            b"\n",
        ),
        *(b"X: " + b"y" * length for length in (1_000, 16_000, 100_000)),
        b"\r\n".join(b"X-%d: %d" % (number, number) for number in range(300)),
    )
    starts = (b"POST /predict{} HTTP/1.1",) * 8 + (
        *(
            b"POST /predict{} HTTP/1.0",
            b"POST /predict{} HTTP/9.9",
            b"POST /predict{}",
            b"PO\x00ST /",
        ),
        *(b"post /predict{} HTTP/1.1", b"POST  /predict{} HTTP/1.1", b"POST /predict{} HTTP/1.1 "),
        *(b"POST http://x/predict{} HTTP/1.1", b"GET /predict{} HTTP/1.1", b"CONNECT a:1 HTTP/1.1"),
        *(
            b"OPTIONS * HTTP/1.1",
            b"PRI * HTTP/2.0",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ),
        *(
            b"POST /%ff%00{} HTTP/1.1",
            b"POST /\xff{} HTTP/1.1",
            b"POST " + b"/a" * 50_000 + b" HTTP/1.1",
        ),
    )
    while True:
        start, lines = chosen.choice(starts), list(plain)
        for _ in range(chosen.choice((0, 1, 1, 2, 3))):
            lines.insert(chosen.randrange(len(lines) + 1), chosen.choice(more))
        if chosen.random() < 0.2:
            lines.pop(chosen.randrange(len(lines)))
        rest = b"\r\n".join((b"", *lines, b"", b""))
        if chosen.random() < 0.1:
            start = _cut_up(chosen, start.replace(b"{}", b""))
        if chosen.random() < 0.2:
            rest = _cut_up(chosen, rest)
        sent = start + rest + body[: chosen.choice((0, *[len(body)] * 9))]
        yield sent * chosen.choice((1, 1, 1, 3))
