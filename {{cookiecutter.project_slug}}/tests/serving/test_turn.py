"""Rows of one turn of the event loop: logged by one write, told after it, each in its place."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from {{ cookiecutter.__package }}.serving.front import Front
from {{ cookiecutter.__package }}.serving.service import Service

from .conftest import logged
from .wire import BODY, Answer, Wire, connected, request

ROWS = b"".join(request(BODY, f"X-Request-Id: {name}") for name in "abc")
GET = request(b"", line="GET /health/live HTTP/1.1", length=False)


@pytest.fixture
def wire(front: Front) -> Iterator[Wire]:
    """A connection to the service through the lane."""
    with connected(front) as opened:
        yield opened


@pytest.fixture
def writes(front: Front, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each write to the log held."""
    found: list[int] = []
    append = front.service.log.append

    def counted(records: Any) -> None:
        append(records)
        found.append(len(records))

    monkeypatch.setattr(front.service.log, "append", counted)
    return found


def ids(answers: list[Answer]) -> list[str]:
    return [json.loads(answer.body)["predictions"][0]["id"] for answer in answers]


def test_rows_of_one_turn_are_one_write(wire: Wire, writes: list[int]) -> None:
    found = wire.feed(ROWS)
    assert writes == [3]
    assert ids(found) == [line["id"] for line in logged(wire.front.service.var)]
    assert [dict(answer.headers)["x-request-id"] for answer in found] == ["a", "b", "c"]
    wire.feed(request())
    assert writes == [3, 1]


def test_nothing_is_told_before_it_is_logged(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    log_made = Service.log_made

    def watched(self: Service, made: Any) -> None:
        told.append(wire.pipe.written)
        log_made(self, made)

    monkeypatch.setattr(Service, "log_made", watched)
    assert len(wire.feed(ROWS)) == 3
    assert told == [b""]


def test_what_goes_the_long_way_is_told_after_the_rows_before_it(
    wire: Wire, writes: list[int]
) -> None:
    found = wire.feed(ROWS + GET + request())
    assert ["predictions" in json.loads(answer.body) for answer in found] == [
        *[True] * 3,
        False,
        True,
    ]
    assert (writes[0], sum(writes)) == (3, 4)


def test_rows_that_the_log_does_not_take_are_all_refused_in_their_order(
    serve: Callable[..., Front],
) -> None:
    front = serve(on_log_failure="fail_closed")
    (front.service.var / "predictions").rmdir()
    (front.service.var / "predictions").touch()
    with connected(front) as wire:
        found = wire.feed(ROWS)
    assert [answer.status for answer in found] == [503] * 3
    assert [dict(answer.headers)["x-request-id"] for answer in found] == ["a", "b", "c"]


def test_a_caller_who_has_gone_leaves_the_others_their_answers(wire: Wire) -> None:
    told: list[bytes | None] = []
    other = wire.front.service.at_once(BODY)
    assert other

    async def gone() -> None:
        wire.protocol.data_received(request())
        wire.pipe.close()
        wire.front.turn.add(other, told.append)

    wire.loop.run_until_complete(gone())
    wire.wait()
    assert wire.pipe.written == b""
    assert [json.loads(reply or b"")["version"] for reply in told] == [1]
    assert len(logged(wire.front.service.var)) == 2
