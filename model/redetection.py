"""Places to search for a lost target: a grid around the place where it was last seen.

A search region reaches as far as its correlation map has displacements, so a target that comes back elsewhere is
outside it. A lost target is therefore searched in one region at the track's place and in the others at places of a
grid, a few a frame, ring after ring, and again from the start. The number of regions stays the same: a lost target
costs no more than another, and batches keep their shape.
"""

from __future__ import annotations

from functools import lru_cache

Point = tuple[float, float]
"""x, y in frame pixels."""

RINGS = 2
"""Rings of the grid: a square of 2 * RINGS + 1 places a side."""


def probes(seen: Point, spacing: float, frame_size: tuple[int, int], first: int, count: int) -> tuple[Point, ...]:
    """`count` places (x, y) in frame pixels, from the grid's place `first` on.

    seen: where the target was last seen, the first place of the grid. spacing: between neighbouring places. Places
    beyond the frame (width, height) are left out; the grid begins again at its end.
    """
    width, height = frame_size
    places = [(seen[0] + column * spacing, seen[1] + row * spacing) for column, row in _spiral(RINGS)]
    inside = [place for place in places if 0 <= place[0] <= width and 0 <= place[1] <= height] or [seen]
    return tuple(inside[(first + index) % len(inside)] for index in range(count))


@lru_cache(maxsize=4)
def _spiral(rings: int) -> tuple[tuple[int, int], ...]:
    """Grid places (column, row) by their ring, the centre first; within a ring the nearest first."""
    reach = range(-rings, rings + 1)
    places = [(column, row) for row in reach for column in reach]
    return tuple(sorted(places, key=lambda each: (max(abs(each[0]), abs(each[1])), each[0] ** 2 + each[1] ** 2)))
