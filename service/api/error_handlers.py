"""Turns every error of a request into a problem (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match

from service.api.components import running_components
from service.api.problems import headers, problem, shortened
from service.errors import InvalidRequest, ServiceError, pointer_to
from siamfc.contract import (
    MALFORMED_REQUEST,
    PROBLEM_MEDIA_TYPE,
    PROBLEM_TYPE_PREFIX,
    UNKNOWN_METHOD,
    UNKNOWN_PATH,
)


def add_error_handlers(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Answer and count the errors of `routes`, of FastAPI's validation and of its router, and unexpected ones."""

    @app.exception_handler(ServiceError)
    async def refused(request: Request, error: ServiceError) -> Response:
        return _answer(request, problem(error), headers(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        faults = tuple((pointer_to(*fault["loc"]), fault["msg"]) for fault in error.errors())
        return _answer(
            request, problem(InvalidRequest("the request's fields are not those of this call", faults=faults))
        )

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> Response:
        slugs = {kind.status: kind.slug for kind in (UNKNOWN_PATH, UNKNOWN_METHOD)}
        body = {
            "type": PROBLEM_TYPE_PREFIX + slugs.get(error.status_code, "http-error"),
            "title": error.detail,
            "status": error.status_code,
            "detail": shortened(f"{request.method} {request.url.path}: {error.detail}"),
        }
        extra = dict(error.headers or {})
        if error.status_code == UNKNOWN_METHOD.status:
            extra["Allow"] = ", ".join(sorted(_methods(request, routes)))
        return _answer(request, body, extra)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        # Nobody reads this answer; without it the server would log a fault of its own.
        return Response(status_code=MALFORMED_REQUEST.status)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return _answer(request, problem(error))


def _methods(request: Request, routes: Sequence[BaseRoute]) -> set[str]:
    """All methods that the request's path has a route for; the router names those of one route. Files can be got."""
    matching = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in matching for method in getattr(route, "methods", None) or ()} or {"GET", "HEAD"}


def _answer(request: Request, body: dict[str, Any], extra: Mapping[str, str] | None = None) -> Response:
    """Count the problem by its slug and answer with it; `extra`: further HTTP headers."""
    components = running_components(request.app)
    if components is not None:
        components.metrics.refused(body["type"].partition("#")[2])
    return JSONResponse(body, body["status"], headers=extra, media_type=PROBLEM_MEDIA_TYPE)
