"""A client's requests as values: boxes on a frame, the decoded frame, and the limits on both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.arrays import RgbImage


@dataclass(frozen=True, slots=True)
class Placement:
    """A box [x, y, w, h], in frame pixels, that a client drew for the target `id`.

    `pointer`: JSON pointer to the box in the request, for errors.
    """

    id: str
    box: Sequence[float]
    pointer: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on a client's requests: targets of a session, pixels of a frame, seconds that a session stays idle."""

    max_targets: int
    max_frame_pixels: int
    session_ttl_s: float


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame's pixels, uint8 [height, width, 3] RGB, and how long decoding took, in seconds."""

    image: RgbImage
    decode_s: float

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.image.shape[1], self.image.shape[0]
