"""The API's description, made from the model in service: its columns and a real row as example."""

from typing import Any

import msgspec

from .bundle import Model
from .errors import Error
from .feedback import Accepted, Truth
from .service import Answer

ERRORS = {
    "400": "The body is not what the schema asks for",
    "401": "The service asks for an API key",
    "404": "There is no such model, or nothing to show yet",
    "408": "The request did not come to its end in time",
    "413": "The body or its number of rows is over the limit",
    "503": "No model is loaded, too many requests at a time, or the log cannot be written",
}


def describe(document: dict[str, Any], model: Model | None) -> dict[str, Any]:
    """Add the request and replies of /predict to FastAPI's OpenAPI document."""
    row: Any = model.schema.row_type if model else dict[str, Any]
    found, components = msgspec.json.schema_components(
        [row, Answer, Error, Truth, Accepted], ref_template="#/components/schemas/{name}"
    )
    one, answer, error, truth, accepted = found
    document.setdefault("components", {})["schemas"] = components
    predict = document["paths"]["/predict"]["post"]
    schema = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}
    predict["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if model:
        example = model.manifest.smoke.row
        predict["requestBody"]["content"]["application/json"]["examples"] = {
            "one row": {"value": example},
            "many rows": {"value": [example, example]},
        }
    predict["responses"] = {"200": _reply("One prediction for each row", answer)}
    feedback = document["paths"]["/feedback"]["post"]
    schema = {"anyOf": [truth, {"type": "array", "items": truth, "minItems": 1}]}
    content = {"application/json": {"schema": schema}}
    feedback["requestBody"] = {"required": True, "content": content}
    feedback["responses"] = {"200": _reply("How many labels were written down", accepted)}
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)  # FastAPI's own; `errors` has another form
            operation["responses"] |= {code: _reply(text, error) for code, text in ERRORS.items()}
    return document


def _reply(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
