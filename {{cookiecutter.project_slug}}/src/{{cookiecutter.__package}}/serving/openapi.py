"""The API's description, made from the model in service: its columns and a real row as example."""

from typing import Any

import msgspec

from .bundle import Model


def describe(document: dict[str, Any], model: Model) -> dict[str, Any]:
    """Add the request of /predict to FastAPI's OpenAPI document."""
    (row,), components = msgspec.json.schema_components(
        [model.schema.row_type], ref_template="#/components/schemas/{name}"
    )
    document["components"]["schemas"] |= components
    example = model.manifest.smoke.row
    document["paths"]["/predict"]["post"]["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [row, {"type": "array", "items": row, "minItems": 1}]},
                "examples": {
                    "one row": {"value": example},
                    "many rows": {"value": [example, example]},
                },
            }
        },
    }
    return document
