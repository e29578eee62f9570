"""Frames, and the parts of them that are at hand.

Frame pixels are those of the whole frame: its top-left corner is (0, 0), and pixel i covers [i, i + 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.arrays import RgbImage

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole frame pixels, from left and top up to right and bottom."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def empty(self) -> bool:
        """Whether no pixel lies in it."""
        return self.left >= self.right or self.top >= self.bottom

    @property
    def size(self) -> Size:
        """(width, height)."""
        return self.right - self.left, self.bottom - self.top

    @property
    def area(self) -> int:
        """Pixels; 0 where it is empty."""
        width, height = self.size
        return 0 if self.empty else width * height

    @property
    def as_list(self) -> list[int]:
        """[x, y, w, h]."""
        return [self.left, self.top, *self.size]

    def holds(self, other: Window) -> bool:
        """Whether the other window lies inside this one."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom

    def touches(self, x: float, y: float, w: float, h: float) -> bool:
        """Whether a rectangle of frame pixels overlaps this window."""
        return x < self.right and x + w > self.left and y < self.bottom and y + h > self.top

    def within(self, other: Window) -> Window:
        """This window counted from the other's corner."""
        x, y = other.left, other.top
        return Window(self.left - x, self.top - y, self.right - x, self.bottom - y)

    def divided(self, by: int) -> Window:
        """This window counted in steps of so many pixels, for a window that lies on such a grid."""
        return Window(self.left // by, self.top // by, self.right // by, self.bottom // by)

    def view(self, image: RgbImage) -> RgbImage:
        """Its pixels [h, w, C], not copied; [0, 0, C] where it is empty."""
        return image[:0, :0] if self.empty else image[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame, or the part of one that is at hand; where there are no pixels, it counts as outside the frame.

    pixels: uint8 [h, w, 3] RGB. size: (width, height) of the whole frame. part: the frame pixels that `pixels` shows.
    shrink: frame pixels along a side of one pixel of `pixels`, where the decoder has scaled the image down; an
    incomplete last row or column counts as a whole one.
    """

    pixels: RgbImage
    size: Size
    part: Window
    shrink: int = 1

    @classmethod
    def whole(cls, pixels: RgbImage, size: Size | None = None, shrink: int = 1) -> Frame:
        """A whole frame; `size` is its (width, height) before it was scaled down."""
        width, height = size if size is not None else (pixels.shape[1], pixels.shape[0])
        return cls(pixels, (width, height), Window(0, 0, width, height), shrink)

    @property
    def complete(self) -> bool:
        """Whether the whole frame is at hand."""
        return self.part == Window(0, 0, *self.size)

    def seen(self, left: float, top: float, side: float) -> Window:
        """The pixels at hand that a square of the frame touches, with two around it, as a window of frame pixels.

        The margin lets a bilinear kernel read real neighbours instead of the fill. The window lies on the grid of
        `pixels`, counted from the part's corner.
        """
        rows, columns = self.pixels.shape[:2]
        n, x, y = self.shrink, self.part.left, self.part.top
        return Window(
            x + n * max(0, (math.floor(left) - x) // n - 2),
            y + n * max(0, (math.floor(top) - y) // n - 2),
            x + n * min(columns, -((x - math.ceil(left + side)) // n) + 2),
            y + n * min(rows, -((y - math.ceil(top + side)) // n) + 2),
        )

    def view(self, window: Window) -> RgbImage:
        """The pixels of a window that `seen` gave, not copied; [0, 0, 3] where it is empty."""
        return window.within(self.part).divided(self.shrink).view(self.pixels)
