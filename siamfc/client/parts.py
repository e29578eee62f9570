"""The part of a frame to send: what the server wants, widened by the motion of the frames under way. No I/O."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from siamfc.client.results import Answer, Part, Result, Target

PartsMode: TypeAlias = Literal["auto", "never"]
"""Whether arrays are sent in part: where the server takes parts, or never."""

_WORTH = 0.75
"""Share of the frame from which a part saves nothing."""
_FIRST_MOTION = 0.05
"""Assumed motion in a frame of a target that has not been seen to move, as a share of its part's longer side."""
_SAFETY = 1.5
"""A target may go faster than it has."""
_GROWTH = 0.02
"""Share of its side that a part may grow by in a frame because the target does."""
_ROUNDING = 2.0
"""Pixels that a part's even edges may move by in a frame."""
_FADES = 0.8
"""Weight of the motion before in the motion now: a target that stops is not trusted at once."""
_RELIEF, _MOST_CAUTION = 0.9, 4.0
"""After every part that was enough the margin shrinks, after one that was not it doubles, up to so many times."""


def checked_mode(mode: PartsMode) -> PartsMode:
    """The mode itself. Raises ValueError for another."""
    if mode not in ("auto", "never"):
        raise ValueError(f'parts must be "auto" or "never", not {mode!r}')
    return mode


@dataclass(frozen=True, slots=True)
class _Seen:
    """A target as the last result has it. `motion`: pixels a frame, at most; None before it was seen twice."""

    center: tuple[float, float]
    wants: Part | None
    motion: float | None

    def reach(self, frames: int, caution: float) -> float:
        """By how much the part that it wants is to be widened for so many more frames."""
        if self.wants is None or not frames:
            return 0.0
        longer = max(self.wants[2:])
        motion = _FIRST_MOTION * longer if self.motion is None else _SAFETY * self.motion
        return frames * (caution * (motion + _GROWTH * longer) + _ROUNDING)


class PartChooser:
    """Says which part of the next frame to send. Every frame sent, and every answer, is told to it in order."""

    def __init__(self, frame_size: tuple[int, int], targets: Iterable[Target]) -> None:
        """The session's frame size (width, height), and its targets as of now."""
        self._size = frame_size
        self._frames = 0  # sent so far
        self._unanswered: deque[int] = deque()  # their numbers, oldest first
        self._known = 0  # the number of the frame that the last result was of; 0: the session's present frame
        self._drawn = 0  # the number of the last frame that boxes were drawn on
        self._draws = False
        self._caution = 1.0
        self._targets = {target.id: _Seen(_center(target), target.wants, None) for target in targets}

    def draw(self) -> None:
        """A box is drawn on the next frame: nobody knows yet what it will want."""
        self._draws = True

    def choose(self, size: tuple[int, int]) -> Part | None:
        """The part (x, y, w, h) of the next frame, whose size is (width, height); None: the whole frame."""
        wanted = [(seen, seen.wants) for seen in self._targets.values()]
        if self._draws or self._drawn > self._known or size != self._size or not wanted:
            return None
        edges = []
        for seen, wants in wanted:
            if wants is None:
                return None
            reach = seen.reach(self._frames - self._known, self._caution)
            x, y, w, h = wants
            edges.append((x - reach, y - reach, x + w + reach, y + h + reach))
        left, top, right, bottom = zip(*edges, strict=True)
        width, height = size
        x, y = max(0, math.floor(min(left) / 2) * 2), max(0, math.floor(min(top) / 2) * 2)
        w, h = min(width, math.ceil(max(right) / 2) * 2) - x, min(height, math.ceil(max(bottom) / 2) * 2) - y
        return (x, y, w, h) if w > 0 and h > 0 and w * h <= _WORTH * width * height else None

    def sent(self) -> None:
        """A frame is sent, whole or in part."""
        self._frames += 1
        self._unanswered.append(self._frames)
        if self._draws:
            self._drawn, self._draws = self._frames, False

    def answered(self, answer: Answer) -> None:
        """The oldest frame under way is answered."""
        number = self._unanswered.popleft() if self._unanswered else self._frames
        if not isinstance(answer, Result):
            return
        elapsed, self._known = max(1, number - self._known), number
        before = self._targets
        self._targets = {target.id: _moved(before.get(target.id), target, elapsed) for target in answer.targets}
        self._caution = min(2 * self._caution, _MOST_CAUTION) if answer.missed else max(1.0, _RELIEF * self._caution)

    def disconnected(self) -> None:
        """The frames under way are given up. What was known is as old as before."""
        self._unanswered.clear()


def _moved(before: _Seen | None, target: Target, elapsed: int) -> _Seen:
    center = _center(target)
    if before is None:
        return _Seen(center, target.wants, None)
    motion = math.dist(before.center, center) / elapsed
    return _Seen(center, target.wants, max(motion, _FADES * before.motion) if before.motion is not None else motion)


def _center(target: Target) -> tuple[float, float]:
    x, y, w, h = target.box
    return x + w / 2, y + h / 2
