"""The errors of the client. A refusal of the server has a class here, which names its row of `siamfc.contract`.

ClientError                     anything a client raises
├── InvalidFrame                the argument is no frame, and was not sent
├── ConnectionLost              no connection to the server, or it broke and could not be made again
│   └── AnswerTimeout           connected, but no answer came in time
├── UnexpectedAnswer            the server's answer does not keep the contract
├── FrameError                  one frame failed; `problem` says why; the session goes on
└── ProblemError                the server refused, and said why
    ├── InvalidRequest          the request is malformed, or a field of it is
    │   ├── InvalidBox          a box is not finite, under a pixel, or off the frame
    │   ├── InvalidImage        the frame is no image, or a damaged one
    │   ├── ImageTooLarge       the frame has more pixels than allowed
    │   ├── InvalidPart         the part of a frame cannot be placed in it
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

from dataclasses import dataclass
from typing import ClassVar

from siamfc import contract
from siamfc.contract import ProblemKind


class ClientError(Exception):
    """Anything a client raises."""


class InvalidFrame(ClientError, ValueError):
    """The argument is no frame: a missing file, no bytes, or an array of another shape or dtype."""


class ConnectionLost(ClientError):
    """No connection to the server, or it broke and could not be made again in the time allowed."""


class AnswerTimeout(ConnectionLost):
    """Connected, but no answer came within the client's `timeout_s`."""


class UnexpectedAnswer(ClientError):
    """The server's answer does not keep the contract, or there is another server."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A faulty field: a JSON pointer into the request, and a description of the fault."""

    pointer: str
    detail: str


class ProblemError(ClientError):
    """The server refused, and said why (RFC 9457).

    `type`, `title`, `status` and `detail` are the problem's; `errors` its field faults; `retry_after_s` when to try
    again, where the server said so. `kind` is the class's row of the contract; only this base class has none.
    """

    kind: ClassVar[ProblemKind]

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
        return slug_of(self.type)


class InvalidRequest(ProblemError):
    """The request is malformed, or a field of it is."""

    kind = contract.INVALID_REQUEST


class InvalidBox(InvalidRequest):
    """A box is not finite, under a pixel wide or high, or does not overlap the frame."""

    kind = contract.INVALID_BOX


class InvalidImage(InvalidRequest):
    """The frame is no JPEG, PNG or WebP image, or a damaged one."""

    kind = contract.INVALID_IMAGE


class ImageTooLarge(InvalidRequest):
    """The frame has more pixels than the server allows."""

    kind = contract.IMAGE_TOO_LARGE


class InvalidPart(InvalidRequest):
    """The part of a frame cannot be placed: its corner is not two integers of at least 0, or it sticks out."""

    kind = contract.INVALID_PART


class TooManyTargets(InvalidRequest):
    """The session would follow more targets than the server allows."""

    kind = contract.TOO_MANY_TARGETS


class PayloadTooLarge(ProblemError):
    """The frame has more bytes than the server allows."""

    kind = contract.PAYLOAD_TOO_LARGE


class UnsupportedMedia(ProblemError):
    """The media type is none of those the server takes."""

    kind = contract.UNSUPPORTED_MEDIA


class Unauthorized(ProblemError):
    """An API key is needed, and missing or wrong."""

    kind = contract.UNAUTHORIZED


class SessionNotFound(ProblemError):
    """There is no such session, or it belongs to another key."""

    kind = contract.SESSION_NOT_FOUND


class SessionEnded(SessionNotFound):
    """The session expired or was deleted."""

    kind = contract.SESSION_ENDED


class TargetNotFound(ProblemError):
    """The session follows no such target."""

    kind = contract.TARGET_NOT_FOUND


class SessionBusy(ProblemError):
    """Another connection drives the session."""

    kind = contract.SESSION_BUSY


class FrameSizeChanged(ProblemError):
    """A later frame has another size than the first."""

    kind = contract.FRAME_SIZE_CHANGED


class RateLimited(ProblemError):
    """More frames a second than the key is allowed."""

    kind = contract.RATE_LIMITED


class AtCapacity(ProblemError):
    """The server has no room for another session, or is overloaded."""

    kind = contract.AT_CAPACITY


class ServerFault(ProblemError):
    """The server failed."""

    kind = contract.INTERNAL_ERROR


class ModelUnavailable(ServerFault):
    """The server's model failed or is not ready."""

    kind = contract.MODEL_UNAVAILABLE


class StoreUnavailable(ServerFault):
    """The server's store of sessions cannot be reached: the session is as it was."""

    kind = contract.STORE_UNAVAILABLE


class IncompatibleReplica(ServerFault):
    """The replica's model cannot use the session's exemplars; another replica may."""

    kind = contract.INCOMPATIBLE_REPLICA


class ShuttingDown(ServerFault):
    """The server is about to go."""

    kind = contract.SHUTTING_DOWN


class FrameError(ClientError):
    """One frame failed and was not counted; the session goes on with the next. `problem` says why."""

    def __init__(self, seq: int, problem: ProblemError) -> None:
        super().__init__(f"frame {seq}: {problem}")
        self.seq = seq
        self.problem = problem


def slug_of(type_: str) -> str:
    """The part of a problem type after its last #, or its last path segment."""
    return type_.rpartition("#")[2].rstrip("/").rpartition("/")[2]
