"""What passes over a socket, as values: a client's messages, and the fields of the server's."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SetTarget:
    """The next frame is the one on which this box was drawn: add the target, or put it right."""

    id: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class RemoveTarget:
    """Stop following a target, after the frames sent before."""

    id: str


@dataclass(frozen=True, slots=True)
class End:
    """Answer what is under way, say bye, close."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One accepted binary message: the `seq`-th of its connection, the boxes drawn on it, and when it came.

    `received_at` is whatever clock the shell reads; the protocol only carries it.
    """

    seq: int
    data: bytes
    placements: tuple[SetTarget, ...] = ()
    received_at: float = 0.0


@dataclass(frozen=True, slots=True)
class TargetState:
    """One target in a result. `response_map` (PNG bytes) and `map_box` only where the client asked for them."""

    id: str
    box: list[float]
    score: float
    status: str
    response_map: bytes | None = None
    map_box: list[float] | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """A frame's times in seconds."""

    decode: float
    queue: float
    infer: float
    total: float


@dataclass(frozen=True, slots=True)
class FrameResult:
    """A tracked frame."""

    seq: int
    frame_index: int
    targets: tuple[TargetState, ...] = field(default=())
    timing: Timing = Timing(0.0, 0.0, 0.0, 0.0)


ClientMessage = SetTarget | RemoveTarget | End
"""What a text message of a client can say."""
