"""The prediction service: FastAPI's routes, its documentation and one shape for all errors."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse

from ..config import Serving
from . import challenger, metrics, openapi, runs
from .errors import STATUS
from .feedback import take
from .front import Front, read_body, refusal
from .protocols import mlflow, open_inference
from .schema import BadRequest
from .service import Service

FACTS = (
    "name",
    "version",
    "run_id",
    "fingerprint",
    "created",
    "data_md5",
    "trained_on",
    "judged_on",
    "metrics",
    "task",
    "classes",
    "target",
    "threshold",
    "half_width",
    "held_out",
)


def create_app(var: Path, limits: Serving, key: str = "") -> Front:
    """The service over a folder of state: bundles are read, predictions and feedback written."""
    service = Service(var, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.champion.refresh()
        gc.freeze()  # what is loaded now stays: looking it over would hold up requests for 20 ms
        watcher = asyncio.create_task(front.watch())
        yield
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        service.close()

    app = FastAPI(title="Predictions", lifespan=lifespan)
    front = Front(app, service, key)

    def json(body: bytes) -> Response:
        return Response(body, media_type="application/json")

    def seen(name: str) -> Path:
        path = var / "monitoring" / name
        if not path.is_file():
            raise HTTPException(404, "nothing has been seen yet: run `make drift`")
        return path

    @app.get("/", include_in_schema=False)
    @app.get("/page.css", include_in_schema=False)
    @app.get("/page.js", include_in_schema=False)
    async def page(request: Request) -> Response:
        """A page for people, its style and its script; they hold no data."""
        name = request.scope["route"].path[1:] or "page.html"
        fresh = {"cache-control": "no-cache"}  # a new script does not fit an old page
        return FileResponse(Path(__file__).with_name(name), headers=fresh)

    @app.post("/predict")
    async def predict(request: Request, explain: bool = False) -> Response:
        """Predict one row (an object) or many (a list of objects); `explain` tells why."""
        body = await read_body(request.receive, limits.max_body_bytes)
        return json(await service.predict(body, request.scope["request_id"], explain))

    @app.post("/feedback")
    async def feedback(request: Request) -> Response:
        """Tell the true label of an answered row (an object) or of many (a list of objects)."""
        return json(take(service, await read_body(request.receive, limits.max_body_bytes)))

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        """The process runs."""
        return {"status": "live"}

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        """A checked model is loaded."""
        service.model()
        return {"status": "ready"}

    @app.get("/model")
    async def model() -> Response:
        """Which model answers, since when, made of what; when the last retraining ended well."""
        model = service.model()
        manifest = model.manifest
        facts = {name: getattr(manifest, name) for name in FACTS} | {
            "columns": model.schema.asked,
            "example": manifest.smoke.row,
            "since": service.champion.since,
            "retrained": runs.last(var / "monitoring", runs.RETRAINED),
            "challenger": challenger.read(var / "monitoring"),
            "trouble": service.champion.trouble or None,
        }
        return json(msgspec.json.encode(facts))

    @app.get("/monitoring")
    async def monitoring() -> Response:
        """What the monitor saw last."""
        return FileResponse(seen("latest.json"), media_type="application/json")

    def shown(report: str) -> Response:
        name = msgspec.json.decode(seen("latest.json").read_bytes()).get(report)
        return FileResponse(seen(name or "no report"), media_type="text/html")

    @app.get("/monitoring/report", response_class=HTMLResponse)
    async def report() -> Response:
        """The last drift report."""
        return shown("report")

    @app.get("/monitoring/quality", response_class=HTMLResponse)
    async def quality() -> Response:
        """The last report on the answers whose labels have arrived."""
        return shown("quality_report")

    @app.get("/monitoring/trend", response_class=HTMLResponse)
    async def trend() -> Response:
        """Metrics, drift and traffic over time."""
        return shown("trend")

    @app.get("/metrics", response_class=PlainTextResponse)
    async def figures() -> Response:
        """The figures of all workers for Prometheus."""
        runs.tell(var / "monitoring")
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4")

    async def refuse(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            error = BadRequest(f"{place}: {first['msg']}")
        return refusal(request.scope, error)

    app.include_router(mlflow.routes(service))
    app.include_router(open_inference.routes(service))
    for kind in (*STATUS, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, refuse)

    def document() -> dict[str, Any]:
        plain = get_openapi(title=app.title, version="1", routes=app.routes)
        return openapi.describe(plain, service.champion.model)

    app.openapi = document  # type: ignore[method-assign]
    return front
