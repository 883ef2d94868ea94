"""The prediction service: one row or many in, probabilities out, every answer in the log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from .answer import Limits, TooLarge, Unavailable, answer
from .bundle import Model
from .champion import Champion
from .log import PredictionLog
from .openapi import describe
from .schema import BadRequest


class Error(BaseModel):
    """Why a request was not answered; `field` is the place in the body, such as `[3].distance`."""

    error: str
    field: str | None = None


class Prediction(BaseModel):
    """The answer to one row.

    `unseen` names columns whose category was never seen in training; it counted as missing.
    """

    id: str = Field(examples=["4f1c2f0e6a0b4a1d9a4c8f1d2e3b5a6c-0"])
    probability: float = Field(examples=[0.31])
    label: int = Field(examples=[0])
    unseen: list[str] = Field(examples=[[]])


class Answer(BaseModel):
    """One prediction for each row of the request, in its order, all by the same model version."""

    version: int = Field(examples=[3])
    predictions: list[Prediction]


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": Error, "description": text}
    for status, text in {
        400: "The body is not what the schema asks for",
        413: "The body or its number of rows is over the limit",
        503: "No model is loaded, or the prediction could not be logged",
    }.items()
}


STATUS: dict[type[Exception], int] = {BadRequest: 400, TooLarge: 413, Unavailable: 503}


async def read_body(request: Request, limit: int) -> bytes:
    """The request's body, read no further than `limit` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"the body is over {limit} bytes")
    return bytes(body)


def create_app(bundles: Path, predictions: Path, limits: Limits) -> FastAPI:
    """The service over a folder of bundles, logging to a folder of predictions."""
    champion = Champion(bundles)
    log = PredictionLog(predictions)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        champion.refresh()
        watcher = asyncio.create_task(champion.watch(limits.poll_seconds))
        yield
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        log.close()

    app = FastAPI(title="Predictions", lifespan=lifespan)

    def serving() -> Model:
        if champion.model is None:
            raise Unavailable(champion.trouble)
        return champion.model

    @app.post("/predict", response_model=Answer, responses=ERRORS)
    async def predict(request: Request) -> Response:
        """Predict one row (an object) or many (a list of objects)."""
        body = await read_body(request, limits.max_body_bytes)
        return Response(answer(serving(), log, limits, body), media_type="application/json")

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        """The process runs."""
        return {"status": "live"}

    @app.get("/health/ready", responses={503: ERRORS[503]})
    async def ready() -> dict[str, str]:
        """A checked model is loaded."""
        serving()
        return {"status": "ready"}

    @app.get("/model", responses={503: ERRORS[503]})
    async def model() -> dict[str, Any]:
        """Which model answers: version, run, training data, metrics and since when."""
        manifest = serving().manifest
        names = (
            "name",
            "version",
            "run_id",
            "fingerprint",
            "created",
            "data_md5",
            "trained_on",
            "judged_on",
        )
        return {name: getattr(manifest, name) for name in names} | {
            "metrics": manifest.metrics,
            "since": champion.since,
            "trouble": champion.trouble or None,
        }

    async def refuse(_: Request, error: Exception) -> Response:
        headers = None
        if isinstance(error, HTTPException):  # an unknown path or method
            status, text, headers = error.status_code, error.detail, error.headers
        else:
            status, text = STATUS[type(error)], str(error)
        body = Error(error=text, field=getattr(error, "field", None)).model_dump_json()
        return Response(body, status, headers, "application/json")

    for kind in (*STATUS, HTTPException):
        app.add_exception_handler(kind, refuse)

    def openapi() -> dict[str, Any]:
        document = get_openapi(title=app.title, version="1", routes=app.routes)
        return document if champion.model is None else describe(document, champion.model)

    app.openapi = openapi  # type: ignore[method-assign]
    return app
