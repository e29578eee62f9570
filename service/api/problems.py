"""The one table from errors to what a caller sees: HTTP status, close code, problem type."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from service import errors


@dataclass(frozen=True, slots=True)
class Kind:
    """How one class of error is shown: RFC 9457 `type` (after the #), `title`, HTTP status, socket close code."""

    slug: str
    title: str
    status: int
    close_code: int = 1011


TABLE: dict[type[errors.ServiceError], Kind] = {
    errors.InvalidRequest: Kind("invalid-request", "The request cannot be understood", 422),
    errors.InvalidBox: Kind("invalid-box", "The box cannot be used", 422),
    errors.InvalidImage: Kind("invalid-image", "The frame is not a readable image", 422),
    errors.ImageTooLarge: Kind("image-too-large", "The frame has too many pixels", 422),
    errors.TooManyTargets: Kind("too-many-targets", "Too many targets", 422),
    errors.PayloadTooLarge: Kind("payload-too-large", "Too many bytes", 413, 1009),
    errors.UnsupportedMedia: Kind("unsupported-media", "Unsupported media type", 415, 1003),
    errors.Unauthorized: Kind("unauthorized", "An API key is needed", 401, 1008),
    errors.SessionNotFound: Kind("session-not-found", "No such session", 404, 4404),
    errors.SessionEnded: Kind("session-ended", "The session has ended", 410, 4410),
    errors.TargetNotFound: Kind("target-not-found", "No such target", 404),
    errors.SessionBusy: Kind("session-busy", "Another connection drives the session", 409, 4409),
    errors.FrameSizeChanged: Kind("frame-size-changed", "The frame's size has changed", 409),
    errors.RateLimited: Kind("rate-limited", "Too many frames a second", 429, 1013),
    errors.AtCapacity: Kind("at-capacity", "The server is full", 503, 1013),
    errors.ModelUnavailable: Kind("model-unavailable", "The model is not available", 503, 1011),
    errors.StoreUnavailable: Kind("store-unavailable", "The session store is not available", 503, 1013),
    errors.IncompatibleReplica: Kind("incompatible-replica", "This replica cannot go on with the session", 503, 1013),
    errors.ShuttingDown: Kind("shutting-down", "The server is shutting down", 503, 1012),
}

INTERNAL = Kind("internal-error", "The server failed", 500, 1011)

MEDIA_TYPE = "application/problem+json"


def kind_of(error: BaseException) -> Kind:
    """The row of an error: its class's, or that of the nearest class above it; INTERNAL for what is no ServiceError."""
    for ancestor in type(error).__mro__:
        if ancestor in TABLE:
            return TABLE[ancestor]
    return INTERNAL


def problem(error: BaseException) -> dict[str, Any]:
    """The RFC 9457 object of an error. What is no ServiceError keeps its text to itself."""
    kind = kind_of(error)
    body: dict[str, Any] = {
        "type": f"about:blank#{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": error.detail
        if isinstance(error, errors.ServiceError)
        else "An unexpected error; it has been logged.",
    }
    if isinstance(error, errors.ServiceError):
        faults = [(error.pointer, error.detail)] if error.pointer is not None else []
        faults += error.faults if isinstance(error, errors.InvalidRequest) else ()
        if faults:
            body["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in faults]
    return body


def headers(error: BaseException) -> dict[str, str]:
    """The HTTP headers that go with an error."""
    extra: dict[str, str] = {}
    if isinstance(error, errors.Unauthorized):
        extra["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.ServiceError) and error.retry_after_s is not None:
        extra["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    return extra
