"""What `siamfc track` takes from a source, frame by frame."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.image_sizes import stated_size
from siamfc.cli.failures import Failure, InputError, needs_extra

Uint8Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class SourceFrame:
    """One frame: an image file's bytes as they are, or decoded pixels, uint8 BGR [H, W, 3].

    `label` names it. `index` is its number in the source, from 0; None: one more than the frame before.
    """

    label: str
    content: bytes | Uint8Image
    index: int | None = None

    def rgb(self) -> Uint8Image:
        """uint8 RGB [H, W, 3], decoded as the server does. Raises InputError, naming the frame."""
        # Imported here because a base install, whose frames a server tracks, has neither.
        import cv2

        from model.images import InvalidImageError, decode

        if not isinstance(self.content, bytes):
            # Twenty-five times as fast as numpy's reversal.
            return np.asarray(cv2.cvtColor(self.content, cv2.COLOR_BGR2RGB), np.uint8)
        try:
            return decode(self.content)
        except InvalidImageError as error:
            raise InputError(f"{self.label}: {error}") from error

    def bgr(self) -> Uint8Image:
        """uint8 BGR [H, W, 3] to draw on. Raises InputError, naming the frame or the extra that is missing."""
        if not isinstance(self.content, bytes):
            return self.content
        with needs_extra("opencv", "an image file's pixels"):
            from model.opencv_images import decode_bgr
        image = decode_bgr(self.content)
        if image is None:
            raise InputError(f"{self.label}: the image cannot be decoded")
        return image

    def size(self) -> tuple[int, int]:
        """Width and height, of an image file from its header alone. Raises InputError, naming the frame."""
        if not isinstance(self.content, bytes):
            height, width = self.content.shape[:2]
            return width, height
        size = stated_size(io.BytesIO(self.content))
        if size is None:
            raise InputError(f"{self.label}: the image does not say its size")
        return size


@dataclass(frozen=True, slots=True)
class Sampling:
    """The frames of a source to follow: number `start`, counted from 0, and every `every`th frame after it."""

    start: int = 0
    every: int = 1

    def takes(self, index: int) -> bool:
        """Whether the frame of that number is one of them."""
        return index >= self.start and (index - self.start) % self.every == 0

    def count(self, total: int | None) -> int | None:
        """How many they are of `total` frames; None where that is not known."""
        return None if total is None else len(range(self.start, total, self.every))


EVERY_FRAME = Sampling()


class Source(Protocol):
    """Where frames come from.

    files: what is read from disk, where it is that. live: whether it goes on until it is stopped. total: how many
    frames there are, as far as is known. fault: after the last frame, why the source failed rather than ended.
    """

    @property
    def files(self) -> tuple[Path, ...]: ...

    @property
    def live(self) -> bool: ...

    @property
    def fps(self) -> float: ...

    @property
    def total(self) -> int | None: ...

    @property
    def fault(self) -> InputError | Failure | None: ...

    def frames(self, sampling: Sampling = EVERY_FRAME) -> Iterator[SourceFrame]:
        """The frames that the sampling takes, in order."""
        ...
