import asyncio
import json
from collections.abc import Callable
from functools import cache
from itertools import groupby
from typing import Any

import pytest

from {{ cookiecutter.__package }}.serving.bundle import Model
from {{ cookiecutter.__package }}.serving.errors import TooLarge, Unavailable
from {{ cookiecutter.__package }}.serving.front import Front
from {{ cookiecutter.__package }}.serving.schema import BadRequest, Schema
from {{ cookiecutter.__package }}.serving.service import BLOCK, Service

from .. import customers
from .asgi import Call
from .conftest import logged
from .wire import BODY, ROW

LONG = 3 * BLOCK + 5


@pytest.fixture
def service(serve: Callable[..., Front]) -> Service:
    return serve(max_rows=10_000).service


@cache
def body(count: int) -> bytes:
    return json.dumps([customers.request(number % 300) for number in range(count)]).encode()


def test_a_long_list_is_answered_in_its_order_by_one_model(service: Service) -> None:
    answer = json.loads(asyncio.run(service.predict(body(LONG))))
    each = [single(service, json.dumps(row).encode()).probability for row in rows(LONG)]
    found = [x["probability"] for x in answer["predictions"]]
    assert found == pytest.approx(each, abs=1e-12)


def single(service: Service, body: bytes) -> Any:
    """The short way's prediction, logged."""
    made = service.at_once(body)
    assert made
    service.log_made([made])
    return made.answer.predictions[0]


def rows(count: int) -> list[Any]:
    return list(json.loads(body(count)))


def test_every_answer_has_an_id_of_its_own_that_is_in_the_log_once(service: Service) -> None:
    async def asked() -> list[bytes]:
        lists = [service.predict(body(count)) for count in (LONG, 1, BLOCK, BLOCK + 1)]
        return list(await asyncio.gather(*lists))

    answers = [json.loads(answer)["predictions"] for answer in asyncio.run(asked())]
    ids = [prediction["id"] for answer in answers for prediction in answer]
    ids.append(single(service, BODY).id)
    assert len(set(ids)) == len(ids) == LONG + 1 + BLOCK + BLOCK + 1 + 1
    lines = logged(service.var)
    assert {line["id"]: line["row"] for line in lines}.keys() == set(ids)
    assert len(lines) == len(ids)
    assert [line["row"] for line in lines if line["id"] == answers[1][0]["id"]] == [rows(1)[0]]


def columns(count: int) -> list[dict[str, Any]]:
    """Rows as tensors."""
    kinds = dict.fromkeys(customers.NUMERIC, "FP64") | dict.fromkeys(customers.CATEGORICAL, "BYTES")
    return [
        {"name": name, "shape": [count], "datatype": kind, "data": [x[name] for x in rows(count)]}
        for name, kind in kinds.items()
    ]


LISTS: dict[str, Callable[[], Any]] = {
    "/predict": lambda: rows(LONG),
    "/invocations": lambda: {"dataframe_records": rows(LONG)},
    "/v2/models/customers/infer": lambda: {"inputs": columns(LONG)},
}


@pytest.mark.parametrize("path", LISTS)
def test_others_pass_between_the_blocks_of_a_long_list(
    path: str, serve: Callable[..., Front], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noted(type_: Any, method: str, what: str) -> None:
        real = getattr(type_, method)

        def noting(*arguments: Any) -> Any:
            done.append(what)
            return real(*arguments)

        monkeypatch.setattr(type_, method, noting)

    noted(Model, "predict", "block")
    noted(Schema, "decode_rows", "rows")
    noted(Schema, "convert_row", "row")

    async def asked() -> None:
        front = serve(max_rows=10_000, max_body_bytes=10**6)
        done.clear()
        call = Call(front, path).give(json.dumps(LISTS[path]()).encode())
        while not call.task.done():
            done.append("other")
            await asyncio.sleep(0)
        assert (await call.answer())[0] == 200

    asyncio.run(asked())
    decoded = (0, 4) if path == "/predict" else (LONG, 0)  # one by one, or a block at a time
    assert (done.count("row"), done.count("rows"), done.count("block")) == (*decoded, 4)
    runs = [(what, len(list(run))) for what, run in groupby(done)]
    assert max((length for what, length in runs if what == "row"), default=0) <= BLOCK
    assert max(length for what, length in runs if what in ("rows", "block")) == 1


def test_one_long_list_is_answered_at_a_time(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    predict = Model.predict

    def watched(model: Model, rows: Any) -> Any:
        sizes.append(len(rows))
        return predict(model, rows)

    monkeypatch.setattr(Model, "predict", watched)

    async def asked() -> None:
        await asyncio.gather(service.predict(body(LONG)), service.predict(body(LONG)))

    asyncio.run(asked())
    assert sizes == [BLOCK, BLOCK, BLOCK, 5] * 2


def test_a_request_is_answered_by_the_model_it_began_with(service: Service) -> None:
    async def asked() -> bytes:
        task = asyncio.create_task(service.predict(body(LONG)))
        await asyncio.sleep(0)
        service.champion.model = None
        return await task

    assert json.loads(asyncio.run(asked()))["version"] == 1
    assert {line["version"] for line in logged(service.var)} == {1}


@pytest.mark.parametrize("given", [b"[]", b"", b"{", b"{}", b" " + BODY, b"[" + BODY + b"]"])
def test_what_is_no_sound_row_is_not_answered_at_once(given: bytes, service: Service) -> None:
    assert service.at_once(given) is None
    assert logged(service.var) == []


def test_nothing_is_answered_without_a_model(service: Service) -> None:
    service.champion.model = None
    assert service.at_once(BODY) is None
    with pytest.raises(Unavailable):
        asyncio.run(service.predict(BODY))


def test_a_label_is_1_from_the_threshold_on(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for probability, label in ((0.5, 1), (0.4999999999999999, 0)):
        monkeypatch.setattr(Model, "one", lambda *_, p=probability: (p, []))
        monkeypatch.setattr(Model, "predict", lambda *_, p=probability: ([p, p], [[], []]))
        two = json.loads(asyncio.run(service.predict(json.dumps([ROW, ROW]).encode())))
        labels = [x["label"] for x in two["predictions"]]
        assert [single(service, BODY).label, *labels] == [label] * 3


@pytest.mark.parametrize("count", [1, BLOCK - 1, BLOCK, BLOCK + 1])
def test_a_wrong_row_anywhere_leaves_nothing_logged(count: int, service: Service) -> None:
    wrong = json.dumps([*rows(count), {}]).encode()
    with pytest.raises(BadRequest) as refusal:
        asyncio.run(service.predict(wrong))
    assert str(refusal.value.field).startswith(f"[{count}].")
    assert logged(service.var) == []


def test_a_list_has_at_least_one_row_and_at_most_the_limit(service: Service) -> None:
    service.check_count(3, 3)
    with pytest.raises(BadRequest, match="the list of rows is empty"):
        service.check_count(0, 3)
    with pytest.raises(TooLarge, match="4 rows; at most 3 fit in one request"):
        service.check_count(4, 3)
