"""A client's requests as values: boxes on a frame, the decoded frame, and the limits on both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.frames import Frame, Window
from model.images import ScaledImage
from service.errors import FrameSizeChanged, InvalidPart
from service.operations.metrics import ReceivedImage


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
    """Limits on a client's requests: targets of a session, pixels of a frame, seconds that a session stays idle.

    `sessions_per_owner`: sessions of one owner at once; 0 is no limit.
    """

    max_targets: int
    max_frame_pixels: int
    session_ttl_s: float
    sessions_per_owner: int = 0


@dataclass(frozen=True, slots=True)
class Decoded:
    """A client's image, how long decoding took, in seconds, and how many bytes it was sent as.

    `at`: top-left corner (x, y), in frame pixels, of an image that shows only a part of a frame; None: a whole frame.
    """

    image: ScaledImage
    decode_s: float
    encoded_bytes: int
    at: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """The encoded image's (width, height)."""
        return self.image.size

    def placed(self, frame_size: tuple[int, int]) -> Frame:
        """The image as a frame, or part of one, of a session whose frames are `frame_size` (width, height).

        Raises FrameSizeChanged, and InvalidPart for a part that sticks out.
        """
        (width, height), (frame_width, frame_height) = self.size, frame_size
        if self.at is None:
            if self.size != frame_size:
                raise FrameSizeChanged(
                    f"the frame is {width} x {height}; the session's frames are {frame_width} x {frame_height}"
                )
            return Frame.whole(self.image.pixels, frame_size, self.image.shrink)
        x, y = self.at
        if x + width > frame_width or y + height > frame_height:
            raise InvalidPart(
                f"a part of {width} x {height} at ({x}, {y}) sticks out of the frame of {frame_width} x {frame_height}",
                pointer="/at",
            )
        return Frame(self.image.pixels, frame_size, Window(x, y, x + width, y + height), self.image.shrink)

    def received(self, frame: Frame, *, missed: bool) -> ReceivedImage:
        """What the metrics say of this image, as the frame that it was placed as."""
        width, height = frame.size
        return ReceivedImage(frame.part.area, width * height, self.encoded_bytes, self.decode_s, missed)
