"""The contract's names and numbers, in one table for server and client. Imports nothing but the standard library.

The server's errors each name their row (`service/errors.py`), and its problems, OpenAPI statuses and close codes come
from there. The client reads the same rows the other way, from an answer to an error. `docs/protocol.md` and
`service/api/asyncapi.yaml` say the same in prose; `tests/siamfc/test_contract.py` holds all of them equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

SUBPROTOCOL = "siamfc.v1"
"""The WebSocket subprotocol."""

BEARER_SUBPROTOCOL = "base64url.bearer.authorization."
"""Prefix of the subprotocol by which a browser, which cannot set headers, offers its API key in base64url."""

PROBLEM_MEDIA_TYPE = "application/problem+json"
"""Media type of a refusal (RFC 9457)."""

PROBLEM_TYPE_PREFIX = "about:blank#"
"""A problem's `type` is this and its slug."""


class CloseCode(IntEnum):
    """Why the server closes a socket (RFC 6455, section 7.4; 4000 and up are this contract's own)."""

    DONE = 1000
    GOING_AWAY = 1001
    UNKNOWN_SUBPROTOCOL = 1002
    UNSUPPORTED_DATA = 1003
    REFUSED = 1008
    TOO_BIG = 1009
    SERVER_FAILED = 1011
    RESTARTING = 1012
    TRY_LATER = 1013
    SESSION_NOT_FOUND = 4404
    SESSION_BUSY = 4409
    SESSION_ENDED = 4410


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """One kind of refusal: its stable slug and title, its HTTP status, and the code that closes a socket for it."""

    slug: str
    title: str
    status: int
    close_code: CloseCode = CloseCode.SERVER_FAILED

    @property
    def type(self) -> str:
        """The problem's `type`, such as `about:blank#invalid-box`."""
        return PROBLEM_TYPE_PREFIX + self.slug


INVALID_REQUEST = ProblemKind("invalid-request", "The request cannot be understood", 422)
INVALID_BOX = ProblemKind("invalid-box", "The box cannot be used", 422)
INVALID_IMAGE = ProblemKind("invalid-image", "The frame is not a readable image", 422)
IMAGE_TOO_LARGE = ProblemKind("image-too-large", "The frame has too many pixels", 422)
INVALID_PART = ProblemKind("invalid-part", "The part cannot be placed in the frame", 422)
TOO_MANY_TARGETS = ProblemKind("too-many-targets", "Too many targets", 422)
PAYLOAD_TOO_LARGE = ProblemKind("payload-too-large", "Too many bytes", 413, CloseCode.TOO_BIG)
UNSUPPORTED_MEDIA = ProblemKind("unsupported-media", "Unsupported media type", 415, CloseCode.UNSUPPORTED_DATA)
UNAUTHORIZED = ProblemKind("unauthorized", "An API key is needed", 401, CloseCode.REFUSED)
SESSION_NOT_FOUND = ProblemKind("session-not-found", "No such session", 404, CloseCode.SESSION_NOT_FOUND)
SESSION_ENDED = ProblemKind("session-ended", "The session has ended", 410, CloseCode.SESSION_ENDED)
TARGET_NOT_FOUND = ProblemKind("target-not-found", "No such target", 404)
SESSION_BUSY = ProblemKind("session-busy", "Another connection drives the session", 409, CloseCode.SESSION_BUSY)
FRAME_SIZE_CHANGED = ProblemKind("frame-size-changed", "The frame's size has changed", 409)
RATE_LIMITED = ProblemKind("rate-limited", "Too many frames a second", 429, CloseCode.TRY_LATER)
AT_CAPACITY = ProblemKind("at-capacity", "The server is full", 503, CloseCode.TRY_LATER)
MODEL_UNAVAILABLE = ProblemKind("model-unavailable", "The model is not available", 503)
STORE_UNAVAILABLE = ProblemKind("store-unavailable", "The session store is not available", 503, CloseCode.TRY_LATER)
INCOMPATIBLE_REPLICA = ProblemKind(
    "incompatible-replica", "This replica cannot go on with the session", 503, CloseCode.TRY_LATER
)
SHUTTING_DOWN = ProblemKind("shutting-down", "The server is shutting down", 503, CloseCode.RESTARTING)
INTERNAL_ERROR = ProblemKind("internal-error", "The server failed", 500)

PROBLEM_KINDS: tuple[ProblemKind, ...] = (
    INVALID_REQUEST,
    INVALID_BOX,
    INVALID_IMAGE,
    IMAGE_TOO_LARGE,
    INVALID_PART,
    TOO_MANY_TARGETS,
    PAYLOAD_TOO_LARGE,
    UNSUPPORTED_MEDIA,
    UNAUTHORIZED,
    SESSION_NOT_FOUND,
    SESSION_ENDED,
    TARGET_NOT_FOUND,
    SESSION_BUSY,
    FRAME_SIZE_CHANGED,
    RATE_LIMITED,
    AT_CAPACITY,
    MODEL_UNAVAILABLE,
    STORE_UNAVAILABLE,
    INCOMPATIBLE_REPLICA,
    SHUTTING_DOWN,
    INTERNAL_ERROR,
)
"""Every kind of refusal that a call to the service can meet."""

KIND_OF_STATUS: Mapping[int, ProblemKind] = MappingProxyType(
    {
        kind.status: kind
        for kind in (
            INVALID_REQUEST,
            PAYLOAD_TOO_LARGE,
            UNSUPPORTED_MEDIA,
            UNAUTHORIZED,
            SESSION_NOT_FOUND,
            SESSION_ENDED,
            SESSION_BUSY,
            RATE_LIMITED,
            AT_CAPACITY,
            INTERNAL_ERROR,
        )
    }
)
"""The kind that an HTTP status means when no problem comes with it, as from a proxy in between."""

KIND_OF_CLOSE_CODE: Mapping[int, ProblemKind] = MappingProxyType(
    {
        CloseCode.GOING_AWAY: SHUTTING_DOWN,
        CloseCode.UNSUPPORTED_DATA: UNSUPPORTED_MEDIA,
        CloseCode.REFUSED: UNAUTHORIZED,
        CloseCode.TOO_BIG: PAYLOAD_TOO_LARGE,
        CloseCode.SERVER_FAILED: INTERNAL_ERROR,
        CloseCode.RESTARTING: SHUTTING_DOWN,
        CloseCode.TRY_LATER: AT_CAPACITY,
        CloseCode.SESSION_NOT_FOUND: SESSION_NOT_FOUND,
        CloseCode.SESSION_BUSY: SESSION_BUSY,
        CloseCode.SESSION_ENDED: SESSION_ENDED,
    }
)
"""The kind that a close code means: a closing socket says no more than its code and a reason to read."""

UNKNOWN_PATH = ProblemKind("not-found", "Not Found", 404)
UNKNOWN_METHOD = ProblemKind("method-not-allowed", "Method Not Allowed", 405)
"""The router's refusals of a path or method that is no call of this contract."""

REQUEST_TIMEOUT = ProblemKind("request-timeout", "The request took too long to arrive", 408)
HEAD_TOO_LARGE = ProblemKind("head-too-large", "The request's head is too large", 431)
MALFORMED_REQUEST = ProblemKind("malformed-request", "This is no HTTP request", 400)
UNKNOWN_HOST = ProblemKind("unknown-host", "Another host was asked for", 421, CloseCode.REFUSED)
FORBIDDEN_ORIGIN = ProblemKind("forbidden-origin", "Pages of this origin may not call", 403, CloseCode.REFUSED)

DOOR_KINDS: tuple[ProblemKind, ...] = (
    REQUEST_TIMEOUT,
    HEAD_TOO_LARGE,
    MALFORMED_REQUEST,
    UNKNOWN_HOST,
    FORBIDDEN_ORIGIN,
)
"""Refusals of a request as such, before it counts as a call: no client that keeps the contract meets them."""
