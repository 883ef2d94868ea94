"""The Open Inference Protocol, version 2, with one tensor a column, as KServe and Triton speak it.

Binary tensors are read as their clients send them by default; replies are JSON, which the protocol
leaves to the server.
"""

import struct
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from ..bundle import Model
from ..front import read_body
from ..schema import UNREADABLE, BadRequest, explained
from ..service import Service

HEADER = "inference-header-content-length"  # of the JSON part; binary tensors follow it
DTYPES = {f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)}
DTYPES |= {f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)}
DTYPES |= {f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)}


class Tensor(msgspec.Struct):
    """One column of the request."""

    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] = {}


class Output(msgspec.Struct):
    """The name of a column that the reply should hold."""

    name: str


class Inference(msgspec.Struct):
    """A request's JSON part."""

    inputs: list[Tensor]
    outputs: list[Output] = []
    id: str = ""


def routes(service: Service) -> APIRouter:
    """The protocol's routes."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

    def model_of(name: str, version: str = "") -> Model:
        model = service.model()
        if name != model.manifest.name or version not in ("", str(model.manifest.version)):
            served = f"{model.manifest.name}, version {model.manifest.version}"
            raise HTTPException(404, f"no such model: {served} is served here")
        return model

    @router.get("")
    async def server() -> dict[str, Any]:
        """What this server is."""
        manifest = service.model().manifest
        extensions = ["binary_tensor_data"]
        return {"name": manifest.name, "version": str(manifest.version), "extensions": extensions}

    @router.get("/health/live")
    async def live() -> dict[str, bool]:
        """The process runs."""
        return {"live": True}

    @router.get("/health/ready")
    async def ready() -> dict[str, bool]:
        """A checked model is loaded."""
        service.model()
        return {"ready": True}

    @router.get("/models/{name}")
    @router.get("/models/{name}/versions/{version}")
    async def metadata(name: str, version: str = "") -> dict[str, Any]:
        """The model's columns."""
        model = model_of(name, version)
        columns = {
            column.name: "BYTES" if column.vocabulary is not None else "FP64"
            for column in model.schema.asked
        }
        inputs = [_described(name, kind, [-1]) for name, kind in columns.items()]
        classes = len(model.manifest.classes or ())
        outputs = [
            _described(name, kind, [-1, classes] if name == "probabilities" else [-1])
            for name, kind in model.answers.outputs.items()
        ]
        served = [str(model.manifest.version)]
        return {
            "name": name,
            "versions": served,
            "platform": model.manifest.form,
            "inputs": inputs,
            "outputs": outputs,
        }

    @router.get("/models/{name}/ready")
    @router.get("/models/{name}/versions/{version}/ready")
    async def model_ready(name: str, version: str = "") -> dict[str, Any]:
        """This model is loaded."""
        return {"name": model_of(name, version).manifest.name, "ready": True}

    @router.post("/models/{name}/infer")
    @router.post("/models/{name}/versions/{version}/infer")
    async def infer(request: Request, name: str, version: str = "") -> Response:
        """Predict rows given as one tensor a column."""
        model = model_of(name, version)
        body = await read_body(request.receive, service.limits.max_body_bytes)
        inference, columns = parse(body, request.headers.get(HEADER, ""))
        count = len(next(iter(columns.values())))
        given = (
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        )
        rows = await service.convert(model, given, count)
        offered = model.answers.outputs
        wanted = [output.name for output in inference.outputs] or list(offered)
        if unknown := sorted(set(wanted) - set(offered)):
            names = ", ".join(offered)
            raise BadRequest(f"no output is named {unknown[0]}, only {names}", "outputs")
        found = await service.answer(model, rows, request.scope["request_id"])
        reply = {
            "model_name": model.manifest.name,
            "model_version": str(model.manifest.version),
            "id": inference.id,
            "outputs": [_output(output, offered[output], found) for output in wanted],
        }
        return Response(msgspec.json.encode(reply), media_type="application/json")

    return router


def parse(body: bytes, header: str) -> tuple[Inference, dict[str, list[Any]]]:
    """A request's JSON part and its columns, all of one length; raises `BadRequest`."""
    if header and not (header.isdecimal() and int(header) <= len(body)):
        raise BadRequest(f"{HEADER} is {header!r}, not a length within the body")
    end = int(header) if header else len(body)
    try:
        inference = msgspec.json.decode(body[:end], type=Inference)
    except UNREADABLE as error:
        raise explained(error, noun="field") from None
    columns: dict[str, list[Any]] = {}
    for number, tensor in enumerate(inference.inputs):
        place = f"inputs[{number}]"
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            values = list(_flat(tensor.data))
        elif isinstance(size, int) and 0 <= size <= len(body) - end:
            values = _binary(body[end : end + size], tensor.datatype, place)
            end += size
        else:
            raise BadRequest("binary_data_size is over what the body holds", place)
        if tensor.name in columns:
            raise BadRequest(f"{tensor.name} is given twice", place)
        if len(values) != int(np.prod(tensor.shape, dtype=object)):
            raise BadRequest(f"{len(values)} values, another number than the shape's", place)
        columns[tensor.name] = values
    if len({len(values) for values in columns.values()}) != 1:
        raise BadRequest("expected one tensor a column, all of one length", "inputs")
    return inference, columns


def _flat(data: Any) -> Iterator[Any]:
    """The values of nested lists in the order they stand in."""
    levels = [iter([data])]
    while levels:
        for value in levels[-1]:
            if isinstance(value, list):
                levels.append(iter(value))
                break
            yield value
        else:
            levels.pop()


def _binary(data: bytes, datatype: str, place: str) -> list[Any]:
    """A tensor's values; NaN is missing, text has its length before it."""
    try:
        if datatype != "BYTES":
            found = np.frombuffer(data, DTYPES[datatype]).tolist()
            return [None if value != value else value for value in found]
        texts, at = [], 0
        while at < len(data):
            (length,) = struct.unpack_from("<I", data, at)
            texts.append(data[at + 4 : at + 4 + length].decode())
            at += 4 + length
        if at != len(data):
            raise ValueError("a text ends after the data")
        return texts
    except KeyError:
        raise BadRequest(f"{datatype} is not read; send FP64 or BYTES", place) from None
    except (ValueError, struct.error) as error:
        raise BadRequest(f"the binary data are not {datatype}: {error}", place) from None


def _described(name: str, datatype: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape}


def _output(name: str, datatype: str, found: list[Any]) -> dict[str, Any]:
    data = [getattr(prediction, name) for prediction in found]
    if name != "probabilities":
        return _described(name, datatype, [len(data)]) | {"data": data}
    flat = [probability for row in data for probability in row.values()]
    return _described(name, datatype, [len(data), len(data[0])]) | {"data": flat}
