"""The errors that a caller of the service can meet. Each class names its row of `siamfc.contract`.

ServiceError                    anything the service refuses or fails at
├── InvalidRequest              the request is malformed, or a field of it is
│   ├── InvalidBox              a box is not finite, under a pixel, or off the frame
│   ├── InvalidImage            the frame is no image, or a damaged one
│   ├── ImageTooLarge           the frame has more pixels than allowed
│   ├── InvalidPart             the part's corner is unusable, or the part sticks out of the frame
│   └── TooManyTargets          the session would follow more targets than allowed
├── PayloadTooLarge             the body or the frame has more bytes than allowed
├── UnsupportedMedia            the body's media type is not accepted
├── Unauthorized                an API key is needed, and missing or wrong
├── SessionNotFound             there is no such session (for this key)
├── SessionEnded                the session expired or was deleted while its lease was held
├── TargetNotFound              the session follows no such target
├── SessionBusy                 another connection holds the session's lease
├── FrameSizeChanged            a later frame has another size than the first
├── RateLimited                 the key sends more frames a second than allowed
├── AtCapacity                  the server can take no more sessions or targets
├── ModelUnavailable            the model failed, or its worker is dead
├── StoreUnavailable            the store of sessions cannot be reached
├── IncompatibleReplica         this replica's model cannot use the session's exemplars
├── ShuttingDown                the server is draining
├── RequestTimeout              the body did not arrive in time
├── UnknownHost                 the request names a host that is not this server's
└── ForbiddenOrigin             a page of an origin that is not listed calls
"""

from __future__ import annotations

from typing import ClassVar

from siamfc import contract
from siamfc.contract import ProblemKind


def pointer_to(*path: str | int) -> str:
    """Make the JSON pointer (RFC 6901) to a field from the names and indexes that lead to it."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


class ServiceError(Exception):
    """Anything the service refuses or fails at.

    `kind` is the error's row of the contract. `pointer` is a JSON pointer to the field at fault, if there is one;
    `retry_after_s` is the time after which to try again, in seconds.
    """

    kind: ClassVar[ProblemKind] = contract.INTERNAL_ERROR

    def __init__(self, detail: str, *, pointer: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        self.retry_after_s = retry_after_s


class InvalidRequest(ServiceError):
    """The request is malformed, or a field of it is. `faults` are (JSON pointer, detail) pairs of further fields."""

    kind = contract.INVALID_REQUEST

    def __init__(self, detail: str, *, pointer: str | None = None, faults: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail, pointer=pointer)
        self.faults = faults


class InvalidBox(InvalidRequest):
    """A box is not finite, under a pixel wide or high, or does not overlap the frame."""

    kind = contract.INVALID_BOX


class InvalidImage(InvalidRequest):
    """The frame is no JPEG, PNG or WebP image, or a damaged one."""

    kind = contract.INVALID_IMAGE


class ImageTooLarge(InvalidRequest):
    """The frame has more pixels than allowed, by its header."""

    kind = contract.IMAGE_TOO_LARGE


class InvalidPart(InvalidRequest):
    """A part's corner is not two integers of at least 0, or the part sticks out of the session's frame."""

    kind = contract.INVALID_PART


class TooManyTargets(InvalidRequest):
    """The session would follow more targets than allowed."""

    kind = contract.TOO_MANY_TARGETS


class PayloadTooLarge(ServiceError):
    """The body or the frame has more bytes than allowed."""

    kind = contract.PAYLOAD_TOO_LARGE


class UnsupportedMedia(ServiceError):
    """The body's media type is not accepted."""

    kind = contract.UNSUPPORTED_MEDIA


class Unauthorized(ServiceError):
    """An API key is needed, and missing or wrong."""

    kind = contract.UNAUTHORIZED


class SessionNotFound(ServiceError):
    """There is no such session, or it belongs to another key."""

    kind = contract.SESSION_NOT_FOUND


class SessionEnded(ServiceError):
    """The session expired or was deleted while its lease was held."""

    kind = contract.SESSION_ENDED


class TargetNotFound(ServiceError):
    """The session follows no such target."""

    kind = contract.TARGET_NOT_FOUND


class SessionBusy(ServiceError):
    """Another connection holds the session's lease."""

    kind = contract.SESSION_BUSY


class FrameSizeChanged(ServiceError):
    """A later frame has another size than the first."""

    kind = contract.FRAME_SIZE_CHANGED


class RateLimited(ServiceError):
    """The key sends more frames a second than allowed."""

    kind = contract.RATE_LIMITED


class AtCapacity(ServiceError):
    """The server can take no more sessions or targets."""

    kind = contract.AT_CAPACITY


class ModelUnavailable(ServiceError):
    """The model failed on this frame, is not ready, or its worker is dead."""

    kind = contract.MODEL_UNAVAILABLE


class StoreUnavailable(ServiceError):
    """The store of sessions cannot be reached. To the caller nothing has changed."""

    kind = contract.STORE_UNAVAILABLE


class IncompatibleReplica(ServiceError):
    """This replica's model cannot use the session's exemplars; another replica may."""

    kind = contract.INCOMPATIBLE_REPLICA


class ShuttingDown(ServiceError):
    """The server is draining and accepts nothing new."""

    kind = contract.SHUTTING_DOWN


class RequestTimeout(ServiceError):
    """The request's body did not arrive in time."""

    kind = contract.REQUEST_TIMEOUT


class UnknownHost(ServiceError):
    """The request names a host that is not this server's."""

    kind = contract.UNKNOWN_HOST


class ForbiddenOrigin(ServiceError):
    """A page calls whose origin is neither this server's nor listed."""

    kind = contract.FORBIDDEN_ORIGIN
