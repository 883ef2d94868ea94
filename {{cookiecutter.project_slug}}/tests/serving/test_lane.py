"""Whatever bytes come, in whatever pieces: the answers are those of the long way."""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from {{ cookiecutter.__package }}.serving import front as front_module
from {{ cookiecutter.__package }}.serving import lane
from {{ cookiecutter.__package }}.serving.front import Front

from .wire import BODY, ROW, Answer, Wire, connected, request

GET = request(b"", line="GET /health/live HTTP/1.1", length=False)
MANY = request(json.dumps([ROW, ROW]).encode())
WRONG = request(b'{"age": 1}')
HIDDEN = request(request())  # its body reads like a request, and is none
CHUNKED = request(b"", "Transfer-Encoding: chunked", length=False)
CHUNKED += b"5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (BODY[:5], len(BODY) - 5, BODY[5:])


class Long(lane.Lane):
    """The protocol without its short way."""

    def _answer(self, data: bytes) -> int:
        return 0


def long_way(front: Front, *pieces: bytes) -> list[Answer]:
    """What is answered by way of uvicorn and FastAPI."""
    with connected(front, Long) as opened:
        return opened.feed(*pieces)


def plain(answers: list[Answer]) -> list[tuple[Any, ...]]:
    return [answer.plain() for answer in answers]


def wait_until(wire: Wire, happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < end
        wire.wait(0.005)


def statuses(answers: list[Answer]) -> list[int]:
    return [answer.status for answer in answers]


SHORT = {
    "plain": request(),
    "names in capitals": request(BODY, "CONTENT-TYPE: application/json", "ACCEPT: */*"),
    "names in small letters": request().replace(b"Content-Length", b"content-length"),
    "space around a value": request(BODY, "X-Thing: \t a b \t", "X-Request-Id:  abc  "),
    "no space before a value": request(BODY, "X-Request-Id:abc"),
    "an empty value": request(BODY, "X-Thing:"),
    "a value beyond ASCII": request(BODY, "X-Thing: é"),
    "kept alive by name": request(BODY, "Connection: Keep-Alive"),
    "an id of its own": request(BODY, "X-Request-Id: row.17_a-b"),
    "two ids": request(BODY, "X-Request-Id: one", "X-Request-Id: two"),
    "an id that is none": request(BODY, "X-Request-Id: no id"),
    "length with zeros before it": request().replace(b"Length: ", b"Length: 00"),
    "another unseen category": request(json.dumps(ROW | {"from": "moon"}).encode()),
    "a trailer announced": request(BODY, "Trailer: x"),
}
LONG = {
    "many rows": (MANY, 200),
    "a wrong row": (WRONG, 400),
    "no JSON": (request(b"{"), 400),
    "space before the row": (request(b" " + BODY), 200),
    "an empty body": (request(b""), 400),
    "no length": (request(b"", length=False), 400),
    "a query": (request(line="POST /predict? HTTP/1.1"), 200),
    "a reason asked for": (request(line="POST /predict?explain=true HTTP/1.1"), 200),
    "absolute form": (request(line="POST http://localhost/predict HTTP/1.1"), 200),
    "path in percent": (request(line="POST /%70redict HTTP/1.1"), 200),
    "another path": (request(line="POST /predict/ HTTP/1.1"), 307),
    "unknown path": (request(line="POST /predicted HTTP/1.1"), 404),
    "another method": (request(line="PUT /predict HTTP/1.1"), 405),
    "method in small letters": (request(line="post /predict HTTP/1.1"), 400),
    "HTTP/1.0": (request(line="POST /predict HTTP/1.0"), 200),
    "two spaces": (request(line="POST  /predict HTTP/1.1"), 200),
    "empty line before": (b"\r\n" + request(), 200),
    "to be closed": (request(BODY, "Connection: close"), 200),
    "compressed": (request(b"\x1f\x8b\x08", "Content-Encoding: gzip"), 400),
    "chunked": (CHUNKED, 200),
    "chunked and a length": (request(BODY, "Transfer-Encoding: chunked"), 400),
    "too long": (request(b"{" + b" " * 20_000), 413),
    "length twice": (request(BODY, f"Content-Length: {len(BODY)}"), 400),
    "length twice, another": (request(BODY, "Content-Length: 3"), 400),
    "length of two numbers": (request(BODY, f"Content-Length: {len(BODY)}, {len(BODY)}"), 400),
    "length with a sign": (request().replace(b"Length: ", b"Length: +"), 400),
    "length of letters": (request(b"", "Content-Length: x", length=False), 400),
    "length below nothing": (request(b"", "Content-Length: -1", length=False), 400),
    "length beyond numbers": (request(b"", f"Content-Length: {'9' * 30}", length=False), 400),
    "space before the colon": (request(BODY, "X-Thing : 1"), 400),
    "space before the length's colon": (request().replace(b"Length:", b"Length :"), 400),
    "no colon": (request(BODY, "X-Thing"), 400),
    "a folded line": (request(BODY, "X-Thing: 1\r\n 2"), 400),
    "an ended line in a value": (request(BODY, "X-Thing: 1\n2"), 400),
    "a zero in a value": (request(BODY, "X-Thing: a\0b"), 400),
    "lines that end otherwise": (request().replace(b"\r\n", b"\n"), 400),
}


@pytest.mark.parametrize("name", SHORT)
def test_a_plain_row_goes_the_short_way_to_the_same_answer(name: str, wire: Wire) -> None:
    found = wire.feed(SHORT[name])
    assert (statuses(found), wire.short) == ([200], 1)
    assert plain(found) == plain(long_way(wire.front, SHORT[name]))


@pytest.mark.parametrize("name", LONG)
def test_all_else_goes_the_long_way(name: str, wire: Wire) -> None:
    data, status = LONG[name]
    found = wire.feed(data)
    assert (statuses(found), wire.short) == ([status], 0)
    assert plain(found) == plain(long_way(wire.front, data))
    if status >= 400:
        assert set(json.loads(found[0].body)) == {"error", "field"}


def test_a_body_that_reads_like_a_request_is_not_one(wire: Wire) -> None:
    head, inner = request(request())[: -len(request())], request()
    found = wire.feed(head, inner, b"", request())
    assert (statuses(found), wire.short) == ([400, 200], 1)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (request(b"", line="GET /health/live HTTP/1.1", length=False)[:-2], 200),
        (request(b"", line="POST /predict?x HTTP/1.1", length=False)[:-2], 400),
        (request(b"", "Content-Encoding: gzip", length=False)[:-2], 400),
        (request(b"", "Content-Type: text/plain", line="PUT / HTTP/1.1", length=False)[:-2], 405),
    ],
)
def test_nor_is_one_in_the_body_of_any_other_request(head: bytes, status: int, wire: Wire) -> None:
    inner = request()
    found = wire.feed(head + b"Content-Length: %d\r\n\r\n" % (len(inner) + 1), inner, b"}")
    assert (statuses(found), wire.short) == ([status], 0)


def test_nor_is_one_in_a_chunk(wire: Wire) -> None:
    inner = request()
    head = request(b"", "Transfer-Encoding: chunked", length=False)
    found = wire.feed(head + b"%x\r\n" % len(inner), inner, b"\r\n0\r\n\r\n")
    assert (statuses(found), wire.short) == ([400], 0)


def test_nor_is_one_in_a_refused_body_that_is_still_to_come(
    serve: Callable[..., Front],
) -> None:
    inner = request()
    with connected(serve(key="secret")) as wire:
        found = wire.feed(request(inner)[: -len(inner)])
        assert statuses(found) == [401]
        found = wire.feed(inner, request(BODY, "Authorization: Bearer secret"))
        assert (statuses(found), wire.short) == ([401, 200], 1)


def test_a_refused_body_that_is_too_long_ends_the_connection(wire: Wire) -> None:
    body = request() * 90
    head = request(b"", f"Content-Length: {len(body)}", length=False)
    assert statuses(wire.feed(head)) == [413]
    assert not wire.pipe.closed  # else a caller who still sends would never see the answer
    wire.feed(*(body[at : at + 4096] for at in range(0, len(body), 4096)))
    assert wire.pipe.closed
    assert statuses(wire.feed(request())) == [413]
    assert wire.short == 0


def test_the_rest_of_a_refused_body_is_not_waited_for_long(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_module, "LINGER", 0.01)
    assert statuses(wire.feed(request(b"", "Content-Length: 30000", length=False))) == [413]
    wait_until(wire, lambda: wire.pipe.closed)


IN_CHUNKS = request(b"", "Transfer-Encoding: chunked", length=False)
IN_CHUNKS += b"%x\r\n%b\r\n" % (20_001, b" " * 20_001)


def test_a_body_in_chunks_is_refused_once_it_is_too_long(wire: Wire) -> None:
    (answer,) = wire.feed(IN_CHUNKS)
    assert answer.status == 413
    assert ("connection", "close") in answer.headers
    assert not wire.pipe.closed
    wire.feed(b"0\r\n\r\n")
    assert wire.pipe.closed


def test_a_body_that_is_too_long_but_read_leaves_the_connection_open(wire: Wire) -> None:
    found = wire.feed(IN_CHUNKS + b"0\r\n\r\n", request())
    assert (statuses(found), wire.short) == ([413, 200], 1)


CUTS: dict[str, tuple[list[bytes], int]] = {
    "head and body apart": ([request()[: -len(BODY)], BODY], 1),
    "cut within the body": ([request()[:-9], request()[-9:]], 1),
    "a byte for each piece": ([request()[i : i + 1] for i in range(len(request()))], 0),
    "cut within the first line": ([request()[:9], request()[9:]], 0),
    "cut within the head": ([request()[:40], request()[40:]], 0),
    "a second one begun": ([request() + request()[:-9], request()[-9:]], 2),
    "a second one's first line begun": ([request() + b"POST /pre", request()[9:]], 1),
    "a wrong row in two pieces": ([WRONG[:-3], WRONG[-3:] + request()], 0),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_request_in_pieces_is_answered_once_it_is_whole(name: str, wire: Wire) -> None:
    pieces, short = CUTS[name]
    expected = plain(long_way(wire.front, b"".join(pieces)))
    assert len(wire.feed(*pieces[:-1])) < len(expected)
    assert plain(wire.feed(pieces[-1])) == expected
    assert wire.short == short


MIXED: dict[str, tuple[list[bytes], int]] = {
    "two at once": ([request(BODY, "X-Request-Id: a"), request(BODY, "X-Request-Id: b")], 2),
    "a GET between": ([request(), GET, request()], 1),
    "a list between": ([request(BODY, "X-Request-Id: a"), MANY, request()], 1),
    "an error first": ([WRONG, request()], 0),
    "chunks first": ([CHUNKED, request()], 0),
    "closed by the first": ([request(BODY, "Connection: close"), request()], 0),
    "closed by the second": ([request(), request(BODY, "Connection: close"), request()], 1),
    "an unwanted upgrade first": (
        [request(b"", "Connection: Upgrade", "Upgrade: x", line="GET /ping HTTP/1.1"), request()],
        0,
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_many_requests_at_once_are_answered_in_their_order(name: str, wire: Wire) -> None:
    requests, short = MIXED[name]
    found = wire.feed(b"".join(requests))
    assert plain(found) == plain(long_way(wire.front, b"".join(requests)))
    assert wire.short == short


def test_a_row_waits_for_the_answer_to_the_request_before_it(wire: Wire) -> None:
    for data in (MANY, request()):
        wire.loop.call_soon(wire.protocol.data_received, data)
    found = wire.feed()
    assert [len(json.loads(answer.body)["predictions"]) for answer in found] == [2, 1]
    assert wire.short == 0


def test_what_is_no_request_ends_the_connection(wire: Wire) -> None:
    assert statuses(wire.feed(request() + b"garbage\r\n\r\n")) == [200, 400]
    assert wire.pipe.closed


def test_the_lane_is_free_again_after_a_request_on_the_long_way(wire: Wire) -> None:
    for data in (GET, CHUNKED, WRONG, MANY):
        wire.feed(data)
        before = wire.short
        wire.feed(request())
        assert wire.short == before + 1


@pytest.mark.parametrize("seed", range(12))
def test_any_mixture_in_any_pieces_gets_the_answers_of_the_long_way(seed: int, wire: Wire) -> None:
    choose = np.random.default_rng(seed)
    kinds = [request(), request(), request(BODY, "X-Request-Id: me"), GET, MANY, WRONG, CHUNKED]
    kinds += [HIDDEN, request(b""), request(line="POST /nowhere HTTP/1.1")]
    stream = b"".join(kinds[number] for number in choose.integers(len(kinds), size=8))
    cuts = sorted(choose.integers(1, len(stream), choose.choice([0, 3, 20])).tolist())
    pieces = [stream[at:to] for at, to in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = wire.feed(*pieces, turns=int(choose.choice([0, 1, 60])))
    assert len(found) == 8
    assert plain(found) == plain(long_way(wire.front, stream))


def test_expect_is_answered_before_the_body_comes(wire: Wire) -> None:
    whole = request(BODY, "Expect: 100-continue")
    assert wire.feed(whole[: -len(BODY)]) and wire.pipe.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert statuses(wire.feed(BODY)) == [100, 200]
    assert wire.short == 0


def test_nothing_more_is_written_to_a_caller_who_does_not_read(wire: Wire) -> None:
    wire.feed(request())
    wire.protocol.pause_writing()
    assert len(wire.feed(request(), request())) == 1
    assert wire.short == 1
    wire.protocol.resume_writing()
    assert statuses(wire.feed()) == [200] * 3
    wire.feed(request())
    assert wire.short == 2


def test_a_key_is_asked_for(serve: Callable[..., Front]) -> None:
    with connected(serve(key="secret")) as wire:
        found = wire.feed(
            request(),
            request(BODY, "Authorization: Bearer wrong"),
            request(BODY, "Authorization: secret"),
            request(BODY, "authorization: Bearer secret "),
        )
        assert statuses(found) == [401, 401, 401, 200]
        assert wire.short == 1


def test_a_row_that_is_long_enough_to_come_in_many_pieces_takes_the_long_way(
    serve: Callable[..., Front], monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected(serve()) as wire:
        monkeypatch.setattr(lane, "LONGEST_BODY", len(BODY))
        assert statuses(wire.feed(request(), request(BODY + b" "))) == [200, 200]
        assert wire.short == 1


def test_a_head_that_is_too_long_takes_the_long_way(wire: Wire) -> None:
    found = wire.feed(request(BODY, "X-Thing: " + "a" * lane.LONGEST_HEAD))
    assert (statuses(found), wire.short) == ([200], 0)


def test_an_idle_connection_is_closed(wire: Wire) -> None:
    wire.protocol.timeout_keep_alive = 0.01  # type: ignore[assignment]
    wire.feed(request())
    assert not wire.pipe.closed
    wait_until(wire, lambda: wire.pipe.closed)


def test_a_request_that_stays_in_pieces_is_left_to_uvicorn(wire: Wire) -> None:
    wire.protocol.timeout_keep_alive = 0.01  # type: ignore[assignment]
    wire.feed(request()[:-1])
    wait_until(wire, lambda: bool(wire.protocol.tasks))
    assert not wire.pipe.closed
    assert statuses(wire.feed(request()[-1:])) == [200]
    assert wire.short == 0


def test_shutting_down_answers_what_has_begun_and_closes(wire: Wire) -> None:
    wire.feed(request()[:-1])
    wire.loop.call_soon(wire.protocol.shutdown)
    assert statuses(wire.feed(request()[-1:])) == [200]
    wait_until(wire, lambda: wire.pipe.closed)


def test_shutting_down_answers_what_is_on_its_way_and_says_that_it_closes(wire: Wire) -> None:
    wire.feed(request())
    wire.loop.call_soon(wire.protocol.shutdown)
    first, last = wire.feed(request())
    assert ("connection", "close") not in first.headers
    assert (last.status, wire.short) == (200, 2)
    assert ("connection", "close") in last.headers
    assert wire.pipe.closed


def test_another_application_is_left_to_uvicorn(wire: Wire) -> None:
    async def other(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    wire.protocol.app = other
    assert statuses(wire.feed(request())) == [204]
