"""CVAT's rectangles: points x1, y1, x2, y2, the corners, in pixels."""

from __future__ import annotations

from collections.abc import Sequence

Box = tuple[float, float, float, float]


def box_of(points: Sequence[float]) -> Box:
    """The box x, y, w, h between two corners, whichever is given first. Raises ValueError for another count."""
    if len(points) != 4:
        raise ValueError(f"a rectangle has the points x1, y1, x2, y2; got {list(points)!r}")
    (left, right), (top, bottom) = sorted((points[0], points[2])), sorted((points[1], points[3]))
    return left, top, right - left, bottom - top


def points_of(box: Box) -> list[float]:
    """The corners of a box x, y, w, h."""
    x, y, w, h = box
    return [x, y, x + w, y + h]
