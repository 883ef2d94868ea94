"""What `mlflow models serve` answers: /invocations, /ping and /version."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.responses import PlainTextResponse

from ..bundle import Model
from ..front import read_body
from ..schema import BadRequest, explained
from ..service import Service

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


class Split(msgspec.Struct):
    """A table as pandas' `to_dict(orient="split")` gives it."""

    columns: list[str]
    data: list[list[Any]]
    index: Any = None


def routes(service: Service) -> APIRouter:
    """The routes of MLflow's scoring server."""
    router = APIRouter(tags=["MLflow"])

    @router.post("/invocations")
    async def invocations(request: Request) -> Response:
        """Predict rows given as dataframe_split, dataframe_records, instances or inputs."""
        model = service.model()
        records = parse(await read_body(request.receive, service.limits.max_body_bytes), model)
        given = (known(record, model) for record in records)
        rows = await service.convert(model, given, len(records))
        found = await service.answer(model, rows, request.scope["request_id"])
        reply = {
            "predictions": [model.answers.scored(one) for one in found],
            "ids": [one.id for one in found],
            "version": model.manifest.version,
        }
        return Response(msgspec.json.encode(reply), media_type="application/json")

    @router.get("/ping")
    async def ping() -> Response:
        """A checked model is loaded."""
        service.model()
        return Response("\n", media_type="application/json")

    @router.get("/version", response_class=PlainTextResponse)
    async def version() -> Response:
        """The version of MLflow that holds the model."""
        return Response(service.model().manifest.mlflow, media_type="text/plain")

    return router


def parse(body: bytes, model: Model) -> list[Mapping[str, Any]]:
    """The rows of a body in any of the four forms; raises `BadRequest`."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            found = json.loads(body.decode())  # MLflow's clients write NaN, which JSON has not
            if b"\\u" in body:  # nor has it half a surrogate pair, which Python reads
                json.dumps(found, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"the body is not JSON: {error}") from None
    given = [name for name in FORMS if isinstance(found, dict) and name in found]
    if len(given) != 1:
        raise BadRequest(f"the body is no object with one of {', '.join(FORMS)}")
    form, table = given[0], found[given[0]]
    names = list(model.manifest.smoke.row)  # the order of the signature
    if form == "dataframe_split":
        try:
            split = msgspec.convert(table, Split)
        except msgspec.ValidationError as error:
            raise explained(error, row=form, noun="field") from None
        return list(_named(split.columns, split.data, form))
    if form == "inputs" and isinstance(table, dict):
        columns = {n: value if isinstance(value, list) else [value] for n, value in table.items()}
        if len({len(column) for column in columns.values()}) > 1:
            raise BadRequest("the columns are not of one length", form)
        return list(_named(list(columns), zip(*columns.values(), strict=True), form))
    if not isinstance(table, list):
        raise BadRequest(f"expected a list, got {type(table).__name__}", form)
    if form != "dataframe_records" and all(isinstance(row, list) for row in table):
        return list(_named(names, table, form))
    for number, row in enumerate(table):
        if not isinstance(row, dict):
            raise BadRequest(f"expected an object, got {type(row).__name__}", f"[{number}]")
    return table


def known(record: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """A row without the columns the model does not know, which MLflow ignores, and without NaN."""
    names = {*model.manifest.smoke.row, model.manifest.key, model.manifest.time}
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in record.items()
        if name in names
    }


def _named(names: list[str], rows: Any, form: str) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise BadRequest(f"{len(row)} values for {len(names)} columns", f"{form}[{number}]")
        yield dict(zip(names, row, strict=True))
