"""The API's description, made from the model in service: its columns and a real row as example."""

from typing import Any

import msgspec

from .answers import Truth
from .bundle import Model
from .errors import Error
from .feedback import Accepted
from .protocols.mlflow import FORMS
from .protocols.open_inference import Inference

ERRORS = {
    "400": "The body is not what the schema asks for",
    "401": "The service asks for an API key",
    "404": "There is no such model, or nothing to show yet",
    "408": "The request did not come to its end in time",
    "413": "The body or its number of rows is over the limit",
    "503": "No model is loaded, too many requests at a time, or the log cannot be written",
}


def describe(document: dict[str, Any], model: Model | None) -> dict[str, Any]:
    """Add what is asked of the model, and what it replies, to FastAPI's OpenAPI document."""
    row: Any = model.schema.row_type if model else dict[str, Any]
    told: Any = model.answers.prediction if model else Any
    truth_type: Any = model.answers.truth if model else Truth
    answer_type = msgspec.defstruct("Answer", [("version", int), ("predictions", list[told])])
    found, components = msgspec.json.schema_components(
        [row, answer_type, Error, truth_type, Accepted, Inference],
        ref_template="#/components/schemas/{name}",
    )
    one, answer, error, truth, accepted, inference = found
    document.setdefault("components", {})["schemas"] = components
    example = model.manifest.smoke.row if model else {}
    paths = document["paths"]
    predict, feedback = paths["/predict"]["post"], paths["/feedback"]["post"]
    rows = {"one row": example, "many rows": [example, example]}
    predict["requestBody"] = _body(_or_list(one), rows)
    predict["responses"] = {"200": _reply("One prediction for each row", answer)}
    feedback["requestBody"] = _body(_or_list(truth))
    feedback["responses"] = {"200": _reply("How many labels were written down", accepted)}
    forms: dict[str, Any] = {form: {} for form in FORMS}
    table = {"type": "object", "properties": forms, "minProperties": 1}
    records = {"records": {"dataframe_records": [example]}}
    paths["/invocations"]["post"]["requestBody"] = _body(table, records)
    for path in (name for name in paths if name.endswith("/infer")):
        paths[path]["post"]["requestBody"] = _body(inference)
    for path in paths.values():
        for operation in path.values():
            operation["responses"].pop("422", None)  # FastAPI's own; `errors` has another form
            operation["responses"] |= {code: _reply(text, error) for code, text in ERRORS.items()}
    return document


def _or_list(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}


def _body(schema: dict[str, Any], examples: dict[str, Any] | None = None) -> dict[str, Any]:
    shown = {name: {"value": value} for name, value in (examples or {}).items()}
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "examples": shown}},
    }


def _reply(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
