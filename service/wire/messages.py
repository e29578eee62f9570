"""The socket's messages as values: a client's messages, and the fields of the server's answers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SetTarget:
    """Add the target, or correct its box. The box was drawn on the next frame. `box`: x, y, w, h in frame pixels."""

    id: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class RemoveTarget:
    """Stop following a target, after the frames that were sent before this message."""

    id: str


@dataclass(frozen=True, slots=True)
class Part:
    """The next frame is only a part of one. `at`: its top-left corner's x and y in frame pixels.

    `at` is as the client wrote it: what is wrong with it is that frame's answer (`codec.parse_corner`).
    """

    at: object


@dataclass(frozen=True, slots=True)
class End:
    """Answer the accepted frames, say bye, close."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One accepted binary message: the `seq`-th of its connection, and the boxes drawn on it.

    `part`: where it lies, for an image that shows only a part of a frame. `received_at`: when it arrived, in seconds of
    the shell's clock; the protocol only carries it.
    """

    seq: int
    data: bytes
    placements: tuple[SetTarget, ...] = ()
    received_at: float = 0.0
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class TargetState:
    """One target in a result: `box` is [x, y, w, h] in frame pixels.

    `response_map` (PNG bytes) and `map_box` ([x, y, w, h] in frame pixels) are there if the client asked for maps.
    `wants`: the part of the next frame that is read for it, [x, y, w, h] in whole frame pixels; None: the whole frame.
    """

    id: str
    box: list[float]
    score: float
    status: str
    response_map: bytes | None = None
    map_box: list[float] | None = None
    wants: list[int] | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """A frame's times in seconds."""

    decode: float
    queue: float
    infer: float
    total: float


@dataclass(frozen=True, slots=True)
class FrameResult:
    """The answer to a tracked frame."""

    seq: int
    frame_index: int
    targets: tuple[TargetState, ...] = field(default=())
    timing: Timing = Timing(0.0, 0.0, 0.0, 0.0)
    missed: tuple[str, ...] = ()
    """Targets of whose wanted part the frame did not show everything."""


ClientMessage = SetTarget | RemoveTarget | Part | End
"""A text message of a client."""
