"""The parts of the OpenAPI document that FastAPI cannot derive: bodies of two forms, problems, the API key."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.schemas import CreateIn, PlaceIn, ProblemOut
from siamfc.contract import PROBLEM_MEDIA_TYPE

_REFERENCE = "#/components/schemas/{model}"
_KEY = "apiKey"


def _schema(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def two_forms(model: type[CreateIn | PlaceIn], parts: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """Describe a body that is multipart/form-data (a file `frame` and the text `parts`) or JSON (`model`)."""
    form = {
        "type": "object",
        "properties": {"frame": {"type": "string", "format": "binary"}} | parts,
        "required": required,
    }
    content = {"multipart/form-data": {"schema": form}, "application/json": {"schema": _schema(model)}}
    return {"requestBody": {"required": True, "content": content}}


def image_body() -> dict[str, Any]:
    """Describe a body that is one encoded image."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    # First the type that code generators know what to do with.
    content = {"application/octet-stream": schema, "image/*": schema}
    return {"requestBody": {"required": True, "content": content}}


def session_links() -> dict[str, Any]:
    """Say which calls take the `session_id` of a new session (OpenAPI links), for tools that chain calls."""
    names = ("read_session", "delete_session", "track_frame", "put_target", "delete_target")
    return {
        name: {"operationId": name, "parameters": {"path.session_id": "$response.body#/session_id"}} for name in names
    }


def problems() -> dict[int | str, dict[str, Any]]:
    """Describe the refusals of the session calls, by HTTP status."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": _schema(ProblemOut)}}
    return {
        status: {"description": text, "content": content}
        for status, text in {
            401: "key missing or unknown",
            404: "no such session or target",
            409: "busy, or the frame's size changed",
            410: "the session ended meanwhile",
            413: "too many bytes",
            415: "unsupported media type",
            422: "unusable image, box or field",
            429: "over the rate",
            503: "full, draining, or the model failed",
        }.items()
    }


_TRACEPARENT = {
    "name": "traceparent",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The caller's trace (W3C Trace Context), which a server that exports traces goes on with.",
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add the schemas that `two_forms` and `problems` refer to, the API key and the trace to FastAPI's document."""
    models = [(model, "validation") for model in (CreateIn, PlaceIn, ProblemOut)]
    _, definitions = models_json_schema(models, ref_template=_REFERENCE)  # type: ignore[arg-type]
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(definitions["$defs"])
    components["securitySchemes"] = {_KEY: {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        if path.startswith("/v1/"):
            for operation in operations.values():
                # An empty alternative, because a server may run without keys.
                operation["security"] = [{}, {_KEY: []}]
                # openapi-python-client 0.29 needs an optional parameter where a body has two forms.
                operation["parameters"] = [*operation.get("parameters", ()), _TRACEPARENT]
    return document
