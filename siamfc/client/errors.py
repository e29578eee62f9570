"""The errors of the client, and the two tables that make them.

ClientError                     anything a client raises
├── InvalidFrame                what was given as a frame is none (never sent)
├── ConnectionLost              no connection to the server, or it broke and could not be made again
│   └── AnswerTimeout           connected, but no answer came in time
├── UnexpectedAnswer            the server said something that the contract does not know
├── FrameError                  one frame failed; `problem` says why; the session goes on
└── ProblemError                the server refused, and said why
    ├── InvalidRequest          the request is malformed, or a field of it is
    │   ├── InvalidBox          a box is not finite, under a pixel, or off the frame
    │   ├── InvalidImage        the frame is no image, or a damaged one
    │   ├── ImageTooLarge       the frame has more pixels than allowed
    │   └── TooManyTargets      the session would follow more targets than allowed
    ├── PayloadTooLarge         the frame has more bytes than allowed
    ├── UnsupportedMedia        the media type is none of those taken
    ├── Unauthorized            an API key is needed, and missing or wrong
    ├── SessionNotFound         there is no such session (for this key)
    │   └── SessionEnded        it expired or was deleted
    ├── TargetNotFound          the session follows no such target
    ├── SessionBusy             another connection drives the session
    ├── FrameSizeChanged        a later frame has another size than the first
    ├── RateLimited             more frames a second than allowed; `retry_after_s`
    ├── AtCapacity              no room for another session; `retry_after_s`
    └── ServerFault             the server failed
        ├── ModelUnavailable    its model did
        ├── StoreUnavailable    its store of sessions cannot be reached
        ├── IncompatibleReplica this replica cannot go on with the session; another may
        └── ShuttingDown        it is about to go
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class ClientError(Exception):
    """Anything a client raises."""


class InvalidFrame(ClientError, ValueError):
    """What was given as a frame cannot be one: no such file, no bytes, an array of another shape or dtype."""


class ConnectionLost(ClientError):
    """No connection to the server, or it broke and could not be made again in the attempts allowed."""


class AnswerTimeout(ConnectionLost):
    """Connected, but no answer came within the client's `timeout_s`."""


class UnexpectedAnswer(ClientError):
    """The server said something that the contract does not know, or is no such server."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One field at fault: a JSON pointer into the request, and what is wrong there."""

    pointer: str
    detail: str


class ProblemError(ClientError):
    """The server refused, and said why (RFC 9457).

    `type`, `title`, `status` and `detail` are the problem's; `errors` its field faults; `retry_after_s` when to try
    again, where the server said so.
    """

    def __init__(
        self,
        *,
        type: str,
        title: str,
        status: int,
        detail: str,
        errors: tuple[Fault, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail or title)
        self.type = type
        self.title = title
        self.status = status
        self.detail = detail
        self.errors = errors
        self.retry_after_s = retry_after_s

    @property
    def slug(self) -> str:
        """The stable name at the end of `type`: `invalid-box` of `about:blank#invalid-box`."""
        return _slug(self.type)


class InvalidRequest(ProblemError):
    """The request is malformed, or a field of it is."""


class InvalidBox(InvalidRequest):
    """A box is not finite, under a pixel wide or high, or does not overlap the frame."""


class InvalidImage(InvalidRequest):
    """The frame is no JPEG, PNG or WebP image, or a damaged one."""


class ImageTooLarge(InvalidRequest):
    """The frame has more pixels than the server allows."""


class TooManyTargets(InvalidRequest):
    """The session would follow more targets than the server allows."""


class PayloadTooLarge(ProblemError):
    """The frame has more bytes than the server allows."""


class UnsupportedMedia(ProblemError):
    """The media type is none of those the server takes."""


class Unauthorized(ProblemError):
    """An API key is needed, and missing or wrong."""


class SessionNotFound(ProblemError):
    """There is no such session, or it belongs to another key."""


class SessionEnded(SessionNotFound):
    """The session expired or was deleted."""


class TargetNotFound(ProblemError):
    """The session follows no such target."""


class SessionBusy(ProblemError):
    """Another connection drives the session."""


class FrameSizeChanged(ProblemError):
    """A later frame has another size than the first."""


class RateLimited(ProblemError):
    """More frames a second than the key is allowed."""


class AtCapacity(ProblemError):
    """The server has no room for another session, or is overloaded."""


class ServerFault(ProblemError):
    """The server failed."""


class ModelUnavailable(ServerFault):
    """The server's model failed or is not ready."""


class StoreUnavailable(ServerFault):
    """The server's store of sessions cannot be reached: the session is as it was."""


class IncompatibleReplica(ServerFault):
    """The replica's model cannot use the session's exemplars; another replica may."""


class ShuttingDown(ServerFault):
    """The server is about to go."""


class FrameError(ClientError):
    """One frame failed and was not counted; the session goes on with the next. `problem` says why."""

    def __init__(self, seq: int, problem: ProblemError) -> None:
        super().__init__(f"frame {seq}: {problem}")
        self.seq = seq
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row: a problem's slug, its class, and the HTTP status and close codes that mean it by themselves."""

    slug: str
    error: type[ProblemError]
    title: str
    status: int
    close_codes: tuple[int, ...] = ()
    speaks_for_status: bool = False


REFUSALS: tuple[Refusal, ...] = (
    Refusal("invalid-request", InvalidRequest, "The request cannot be understood", 422, speaks_for_status=True),
    Refusal("invalid-box", InvalidBox, "The box cannot be used", 422),
    Refusal("invalid-image", InvalidImage, "The frame is not a readable image", 422),
    Refusal("image-too-large", ImageTooLarge, "The frame has too many pixels", 422),
    Refusal("too-many-targets", TooManyTargets, "Too many targets", 422),
    Refusal("payload-too-large", PayloadTooLarge, "Too many bytes", 413, (1009,), speaks_for_status=True),
    Refusal("unsupported-media", UnsupportedMedia, "Unsupported media type", 415, (1003,), speaks_for_status=True),
    Refusal("unauthorized", Unauthorized, "An API key is needed", 401, (1008,), speaks_for_status=True),
    Refusal("session-not-found", SessionNotFound, "No such session", 404, (4404,), speaks_for_status=True),
    Refusal("session-ended", SessionEnded, "The session has ended", 410, (4410,), speaks_for_status=True),
    Refusal("target-not-found", TargetNotFound, "No such target", 404),
    Refusal("session-busy", SessionBusy, "Another connection drives the session", 409, (4409,), speaks_for_status=True),
    Refusal("frame-size-changed", FrameSizeChanged, "The frame's size has changed", 409),
    Refusal("rate-limited", RateLimited, "Too many frames a second", 429, speaks_for_status=True),
    Refusal("at-capacity", AtCapacity, "The server is full", 503, (1013,), speaks_for_status=True),
    Refusal("model-unavailable", ModelUnavailable, "The model is not available", 503),
    Refusal("store-unavailable", StoreUnavailable, "The session store is not available", 503),
    Refusal("incompatible-replica", IncompatibleReplica, "This replica cannot go on with the session", 503),
    Refusal("shutting-down", ShuttingDown, "The server is shutting down", 503, (1001, 1012)),
    Refusal("internal-error", ServerFault, "The server failed", 500, (1011,), speaks_for_status=True),
)

_BY_SLUG = {row.slug: row for row in REFUSALS}
_BY_STATUS = {row.status: row for row in REFUSALS if row.speaks_for_status}
_BY_CLOSE_CODE = {code: row for row in REFUSALS for code in row.close_codes}


def from_problem(body: Mapping[str, Any], retry_after_s: float | None = None) -> ProblemError:
    """The error of a problem+json object; by its type, else by its status, else a plain ProblemError."""
    kind, status = str(body.get("type", "about:blank")), body.get("status")
    status = status if isinstance(status, int) else 0
    row = _BY_SLUG.get(_slug(kind)) or _BY_STATUS.get(status)
    faults = body.get("errors")
    return (row.error if row else ProblemError)(
        type=kind,
        title=str(body.get("title") or (row.title if row else "The server refused")),
        status=status,
        detail=str(body.get("detail") or ""),
        errors=tuple(
            Fault(str(fault.get("pointer", "")), str(fault.get("detail", "")))
            for fault in (faults if isinstance(faults, list) else ())
            if isinstance(fault, dict)
        ),
        retry_after_s=retry_after_s,
    )


def from_status(status: int, detail: str = "", retry_after_s: float | None = None) -> ProblemError:
    """The error of an HTTP status that came without a problem+json body, as from a proxy in between."""
    row = _BY_STATUS.get(status) or (_BY_STATUS[500] if status >= 500 else None)
    body = {"type": f"about:blank#{row.slug}" if row else "about:blank", "status": status, "detail": detail}
    return from_problem(body | {"title": row.title if row else f"HTTP status {status}"}, retry_after_s)


def from_close_code(code: int, reason: str = "") -> ClientError:
    """The error of a socket that closed with `code`: the refusal it stands for, or ConnectionLost."""
    row = _BY_CLOSE_CODE.get(code)
    if row is None:
        return ConnectionLost(f"the connection closed with code {code}" + (f": {reason}" if reason else ""))
    return from_problem(
        {"type": f"about:blank#{row.slug}", "title": row.title, "status": row.status, "detail": reason or row.title}
    )


def _slug(kind: str) -> str:
    """What comes after the last # of a problem type, or its last path segment."""
    return kind.rpartition("#")[2].rstrip("/").rpartition("/")[2]
