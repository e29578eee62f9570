"""What a client asks of a session, as values: boxes on a frame, the frame, and the bounds on both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.sessions.decoding import Image


@dataclass(frozen=True, slots=True)
class Placement:
    """A box that a client drew on a frame; `pointer` says where it stood in the request."""

    id: str
    box: Sequence[float]
    pointer: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a client may ask for."""

    max_targets: int
    max_frame_pixels: int
    session_ttl_s: float


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame's pixels, uint8 [height, width, 3] RGB, and how long decoding took, in seconds."""

    image: Image
    decode_s: float

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.image.shape[1], self.image.shape[0]
