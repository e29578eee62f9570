"""SiamFC tracking as a user meets it: the client library, and the command line in `siamfc.cli`.

`Client` (blocking) and `AsyncClient` follow OpenCV's habit of `start(frame, box)` and `update(frame)`. The base install
is enough for both: no torch, no OpenCV, no server. `track_video` follows a target through a video in one call. A name
is loaded when it is first used, so that `import siamfc` costs nothing.
"""

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siamfc.client import *
    from siamfc.video import TrackedFrame, track_video

__all__ = [
    "Answer",
    "AnswerTimeout",
    "AsyncClient",
    "AsyncSession",
    "AtCapacity",
    "Client",
    "ClientError",
    "ConnectionLost",
    "Dropped",
    "Failed",
    "Fault",
    "FrameError",
    "FrameSizeChanged",
    "ImageTooLarge",
    "IncompatibleReplica",
    "InvalidBox",
    "InvalidFrame",
    "InvalidImage",
    "InvalidPart",
    "InvalidRequest",
    "ModelUnavailable",
    "PayloadTooLarge",
    "ProblemError",
    "RateLimited",
    "Reconnect",
    "Result",
    "ServerFault",
    "Session",
    "SessionBusy",
    "SessionEnded",
    "SessionNotFound",
    "SessionState",
    "ShuttingDown",
    "StoreUnavailable",
    "Target",
    "TargetNotFound",
    "TooManyTargets",
    "TrackedFrame",
    "Traffic",
    "Unauthorized",
    "UnexpectedAnswer",
    "UnsupportedMedia",
    "track_video",
]

if not TYPE_CHECKING:
    # Hidden from type checkers, which would otherwise take every misspelt name for Any.

    _ELSEWHERE = MappingProxyType({"TrackedFrame": "siamfc.video", "track_video": "siamfc.video"})

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_ELSEWHERE.get(name, "siamfc.client")), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
