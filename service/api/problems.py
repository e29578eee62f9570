"""How an error is shown to a caller: its row of `siamfc.contract` as an RFC 9457 object, and the HTTP headers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from starlette.types import Send

from service.errors import InvalidRequest, RequestTimeout, ServiceError, Unauthorized
from service.operations.request_ids import current_request
from siamfc.contract import INTERNAL_ERROR, PROBLEM_MEDIA_TYPE, ProblemKind

MAX_FAULTS = 10
"""Faults of one request that are told; further ones are found when these are mended."""

MAX_TEXT = 400
"""Characters of a detail or a pointer that are told: they may quote the client, who may have sent megabytes."""

_UNEXPECTED = "An unexpected error; it has been logged."


def kind_of(error: BaseException) -> ProblemKind:
    """The error's row of the contract; INTERNAL_ERROR for an exception that is no ServiceError."""
    return error.kind if isinstance(error, ServiceError) else INTERNAL_ERROR


def problem(error: BaseException) -> dict[str, Any]:
    """The RFC 9457 object of an error. An exception that is no ServiceError does not show its text."""
    if not isinstance(error, ServiceError):
        return _body(INTERNAL_ERROR, _UNEXPECTED)
    body = _body(error.kind, error.detail)
    faults = [(error.pointer, error.detail)] if error.pointer is not None else []
    faults += error.faults[:MAX_FAULTS] if isinstance(error, InvalidRequest) else ()
    if faults:
        body["errors"] = [{"pointer": shortened(pointer), "detail": shortened(detail)} for pointer, detail in faults]
    return body


def _body(kind: ProblemKind, detail: str) -> dict[str, Any]:
    body = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": shortened(detail)}
    request_id = current_request()
    return body | {"request_id": request_id} if request_id else body


def shortened(text: str) -> str:
    """Cut a text that quotes the client to `MAX_TEXT` characters."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def headers(error: BaseException) -> dict[str, str]:
    """The HTTP headers that go with an error."""
    extra: dict[str, str] = {}
    if isinstance(error, Unauthorized):
        extra["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RequestTimeout):
        # The rest of the body may still be on its way.
        extra["Connection"] = "close"
    if isinstance(error, ServiceError) and error.retry_after_s is not None:
        extra["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    return extra


async def send_problem(error: ServiceError, send: Send, further: Mapping[str, str] | None = None) -> None:
    """Answer with an error's problem where no route does, over ASGI; `further`: more headers."""
    body = json.dumps(problem(error)).encode()
    named = {"content-type": PROBLEM_MEDIA_TYPE, "content-length": str(len(body)), **headers(error), **(further or {})}
    raw = [(name.lower().encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": error.kind.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def close_reason(text: str) -> str:
    """Shorten a text to a close frame's reason, at most 123 bytes (RFC 6455, section 5.5)."""
    return text.encode()[:120].decode(errors="ignore")
