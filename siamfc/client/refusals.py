"""The error that an answer of the server means: by problem, HTTP status or close code, from the contract's table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from siamfc.client.errors import (
    AtCapacity,
    ClientError,
    ConnectionLost,
    Fault,
    FrameSizeChanged,
    ImageTooLarge,
    IncompatibleReplica,
    InvalidBox,
    InvalidImage,
    InvalidPart,
    InvalidRequest,
    ModelUnavailable,
    PayloadTooLarge,
    ProblemError,
    RateLimited,
    ServerFault,
    SessionBusy,
    SessionEnded,
    SessionNotFound,
    ShuttingDown,
    StoreUnavailable,
    TargetNotFound,
    TooManyTargets,
    Unauthorized,
    UnsupportedMedia,
    slug_of,
)
from siamfc.contract import INTERNAL_ERROR, KIND_OF_CLOSE_CODE, KIND_OF_STATUS, ProblemKind

REFUSALS: tuple[type[ProblemError], ...] = (
    InvalidPart,
    InvalidRequest,
    InvalidBox,
    InvalidImage,
    ImageTooLarge,
    TooManyTargets,
    PayloadTooLarge,
    UnsupportedMedia,
    Unauthorized,
    SessionNotFound,
    SessionEnded,
    TargetNotFound,
    SessionBusy,
    FrameSizeChanged,
    RateLimited,
    AtCapacity,
    ServerFault,
    ModelUnavailable,
    StoreUnavailable,
    IncompatibleReplica,
    ShuttingDown,
)
"""The class of every refusal in the contract."""

_REFUSAL_OF_SLUG: Mapping[str, type[ProblemError]] = MappingProxyType({error.kind.slug: error for error in REFUSALS})


def from_problem(body: Mapping[str, Any], retry_after_s: float | None = None) -> ProblemError:
    """The error of a problem+json object; by its type, else by its status, else a plain ProblemError."""
    type_, status = str(body.get("type", "about:blank")), body.get("status")
    status = status if isinstance(status, int) else 0
    error = _REFUSAL_OF_SLUG.get(slug_of(type_))
    if error is None and status in KIND_OF_STATUS:
        error = _REFUSAL_OF_SLUG[KIND_OF_STATUS[status].slug]
    faults = body.get("errors")
    return (error or ProblemError)(
        type=type_,
        title=str(body.get("title") or (error.kind.title if error else "The server refused")),
        status=status,
        detail=str(body.get("detail") or ""),
        errors=tuple(
            Fault(str(fault.get("pointer", "")), str(fault.get("detail", "")))
            for fault in (faults if isinstance(faults, list) else ())
            if isinstance(fault, dict)
        ),
        retry_after_s=retry_after_s,
    )


def from_kind(kind: ProblemKind, detail: str) -> ProblemError:
    """The error of a kind of refusal."""
    error = _REFUSAL_OF_SLUG[kind.slug]
    return error(type=kind.type, title=kind.title, status=kind.status, detail=detail)


def from_status(status: int, detail: str = "", retry_after_s: float | None = None) -> ProblemError:
    """The error of an HTTP status that came without a problem+json body, as from a proxy in between."""
    kind = KIND_OF_STATUS.get(status) or (INTERNAL_ERROR if status >= 500 else None)
    body = {"type": kind.type if kind else "about:blank", "title": kind.title if kind else f"HTTP status {status}"}
    return from_problem(body | {"status": status, "detail": detail}, retry_after_s)


def from_close_code(code: int, reason: str = "") -> ClientError:
    """The error of a socket that closed with `code`: the refusal that the code means, or ConnectionLost."""
    kind = KIND_OF_CLOSE_CODE.get(code)
    if kind is None:
        return ConnectionLost(f"the connection closed with code {code}" + (f": {reason}" if reason else ""))
    return from_kind(kind, reason or kind.title)
