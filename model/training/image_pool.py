"""A corpus's images resident on a device, and bilinear reading of many of them at once.

All images lie end to end in one uint8 buffer, each with halved copies of itself; a batch of views, whatever the
images' sizes, is then one gather. Shape legend: B views, S x S places a view, K channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from model.crops import Colour, mean_colour
from model.data.corpus import Corpus
from model.data.records import Member
from model.training.rendering import weighted

_LEVELS = 4

Border = Literal["constant", "mirror"]


@dataclass(frozen=True, slots=True)
class Level:
    """An image's copy: its offset in the buffer, and its size."""

    offset: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Resident:
    """An image in the pool: its copies, each half the one before; and its mean colour."""

    levels: tuple[Level, ...]
    colour: tuple[float, float, float]

    @property
    def size(self) -> tuple[int, int]:
        """(w, h) of the image itself."""
        return self.levels[0].width, self.levels[0].height

    def level(self, shrink: float) -> int:
        """The index of the copy to read at places `shrink` image pixels apart: less than two pixels of the copy."""
        wanted = int(np.floor(np.log2(shrink))) if shrink > 2 else 0
        return min(wanted, len(self.levels) - 1)


class ImagePool:
    """The images that were asked for, on the device. Cut-outs' colours are weighted by their alpha.

    It holds `capacity` bytes; when full it must be emptied, which `reserve` does between batches.
    """

    def __init__(self, corpus: Corpus, device: torch.device, capacity: int) -> None:
        self.device = device
        self._corpus, self._capacity, self._used = corpus, capacity, 0
        self._buffer = torch.empty(capacity, dtype=torch.uint8, device=device)
        self._residents: dict[tuple[Member, int], Resident] = {}

    @property
    def used(self) -> int:
        """Bytes that hold images."""
        return self._used

    def reserve(self, size: int) -> None:
        """Forget everything unless `size` bytes are free."""
        if self._capacity - self._used < size:
            self._residents.clear()
            self._used = 0

    def size(self, member: Member, channels: int = 3) -> tuple[int, int]:
        """(w, h) of an image, which is then resident."""
        return self.resident(member, channels).size

    def resident(self, member: Member, channels: int = 3) -> Resident:
        """The image, decoded and copied to the device unless it is there. Raises CorpusError, MemoryError."""
        key = (member, channels)
        if key not in self._residents:
            self._residents[key] = self._bring(member, channels)
        return self._residents[key]

    def _bring(self, member: Member, channels: int) -> Resident:
        image = self._corpus.rgb(member) if channels == 3 else weighted(self._corpus.rgba(member))
        colour = mean_colour(image[..., :3]) if channels == 3 else (0.0, 0.0, 0.0)
        levels, parts, end = [], [], self._used
        for _ in range(_LEVELS):
            height, width = image.shape[:2]
            levels.append(Level(end, width, height))
            parts.append(image.reshape(-1))
            end += image.size
            if min(height, width) < 16:
                break
            half = (max(1, width // 2), max(1, height // 2))
            image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
        if end > self._capacity:
            raise MemoryError(f"an image pool of {self._capacity} bytes does not hold a batch's images")
        joined = torch.from_numpy(np.concatenate(parts))
        self._buffer[self._used : end] = joined.to(self.device, non_blocking=True)
        self._used = end
        return Resident(tuple(levels), colour)

    def read(self, parts: Sequence[ImagePart], x: Tensor, y: Tensor, channels: int, border: Border) -> Tensor:
        """Values [B, K, S, S], float32 0..255, at pixel indexes x, y [B, S, S] of the parts; beyond them `colour`
        or the part mirrored."""
        numbers = torch.tensor(
            [[part.offset, part.row, part.width, part.height] for part in parts], dtype=torch.int64, device=self.device
        )
        offset, row, width, height = (numbers[:, i, None, None] for i in range(4))
        colour = torch.tensor([part.colour for part in parts], dtype=torch.float32, device=self.device)
        left, top = torch.floor(x), torch.floor(y)
        total = x.new_zeros(*x.shape, channels)
        plane = torch.arange(channels, device=self.device)
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            column, line = left + dx, top + dy
            weight = (1 - (x - column).abs()) * (1 - (y - line).abs())
            column, line = column.long(), line.long()
            there = (column >= 0) & (column < width) & (line >= 0) & (line < height)
            if border == "mirror":
                column, line = _mirrored(column, width), _mirrored(line, height)
                there = torch.ones_like(there)
            place = offset + line.clamp(0).minimum(height - 1) * row + column.clamp(0).minimum(width - 1) * channels
            values = self._buffer[place[..., None] + plane].float()  # (B, S, S, K)
            values = torch.where(there[..., None], values, colour[:, None, None, :channels])
            total += weight[..., None] * values
        return total.permute(0, 3, 1, 2)


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A part of an image: the offset of its first byte, bytes a row of the image, its size, and its fill."""

    offset: int
    row: int
    width: int
    height: int
    colour: tuple[float, float, float, float]


def image_part(level: Level, bounds: tuple[int, int, int, int], channels: int, colour: Colour) -> ImagePart:
    """The part x0, y0, x1, y1 (in the level's pixels) of a resident image's copy."""
    x0, y0, x1, y1 = bounds
    row = level.width * channels
    return ImagePart(level.offset + y0 * row + x0 * channels, row, x1 - x0, y1 - y0, (*colour, 0.0))


def _mirrored(index: Tensor, length: Tensor) -> Tensor:
    """Indexes mirrored into 0..length - 1, the edge itself not doubled."""
    period = (2 * (length - 1)).clamp(min=1)
    folded = index % period
    return torch.minimum(folded, period - folded)
