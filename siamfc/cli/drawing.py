"""Targets drawn on frames: boxes, labels and trails, in a colour of its own for every target."""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from siamfc.client.results import Target

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]
"""Left, top, right and bottom, whole pixels."""

COLOURS: tuple[Colour, ...] = (
    (240, 201, 76), (102, 209, 255), (182, 122, 255), (154, 233, 140), (67, 159, 255), (252, 151, 177), (245, 243, 241),
    (169, 217, 56),
)  # fmt: skip
"""BGR, in the order in which targets come; the page's colours."""

TRAIL = 40
"""Frames that a trail is long."""

_INK: Colour = (24, 20, 16)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FAR = 16_000
"""A box may lie anywhere; OpenCV draws within 16 bits."""


class Overlay:
    """Draws on the frames of one video, in their order. It remembers colours and trails.

    The box of a target that is `tracking` is a whole line, of an `uncertain` one a dashed line; of a `lost` one the
    corners alone are drawn, where it probably was last, and its trail ends.
    """

    def __init__(self) -> None:
        self._colours: dict[str, Colour] = {}
        self._trails: dict[str, deque[tuple[int, int]]] = {}

    def draw(self, frame: Image, targets: Sequence[Target]) -> Image:
        """A copy of a frame, uint8 BGR [H, W, 3], with the targets on it."""
        drawn = frame.copy()
        line = max(1, round(min(frame.shape[:2]) / 240))
        for target in targets:
            self._trail(drawn, target, line)
        taken: list[Rectangle] = []
        for target in targets:
            box = _corners(target)
            _BOXES.get(target.status, _whole)(drawn, box, self.colour(target.id), line)
            taken.append(_label(drawn, _text(target), box, taken, self.colour(target.id)))
        return drawn

    def colour(self, target_id: str) -> Colour:
        """The target's colour, BGR."""
        return self._colours.setdefault(target_id, COLOURS[len(self._colours) % len(COLOURS)])

    def _trail(self, drawn: Image, target: Target, line: int) -> None:
        trail = self._trails.setdefault(target.id, deque(maxlen=TRAIL))
        if target.status == "lost":
            trail.clear()
            return
        left, top, right, bottom = _corners(target)
        trail.append(((left + right) // 2, (top + bottom) // 2))
        points = np.array(trail, np.int32).reshape(-1, 1, 2)
        cv2.polylines(drawn, [points], False, self.colour(target.id), line, cv2.LINE_AA)


def _whole(drawn: Image, box: Rectangle, colour: Colour, line: int) -> None:
    cv2.rectangle(drawn, box[:2], box[2:], colour, 2 * line)


def _dashed(drawn: Image, box: Rectangle, colour: Colour, line: int) -> None:
    """Every side as a whole number of dashes, so that its ends are drawn."""
    for (x0, y0), (x1, y1) in _sides(box):
        length = abs(x1 - x0) + abs(y1 - y0)
        pieces = min(2 * (length // (12 * line)) + 1, 401)
        for piece in range(0, pieces, 2):
            begin, end = piece / pieces, (piece + 1) / pieces
            ends = [(round(x0 + share * (x1 - x0)), round(y0 + share * (y1 - y0))) for share in (begin, end)]
            cv2.line(drawn, ends[0], ends[1], colour, 2 * line)


def _cornered(drawn: Image, box: Rectangle, colour: Colour, line: int) -> None:
    for (x0, y0), (x1, y1) in _sides(box):
        for x, y, u, v in ((x0, y0, x1, y1), (x1, y1, x0, y0)):
            cv2.line(drawn, (x, y), (x + (u - x) // 5, y + (v - y) // 5), colour, line)


_BOXES = {"tracking": _whole, "uncertain": _dashed, "lost": _cornered}


def _sides(box: Rectangle) -> Iterable[tuple[tuple[int, int], tuple[int, int]]]:
    left, top, right, bottom = box
    return (
        ((left, top), (right, top)), ((left, bottom), (right, bottom)),
        ((left, top), (left, bottom)), ((right, top), (right, bottom)),
    )  # fmt: skip


def _corners(target: Target) -> Rectangle:
    x, y, w, h = target.box
    left, top, right, bottom = np.clip([x, y, x + w, y + h], -_FAR, _FAR).round().astype(int).tolist()
    return left, top, right, bottom


def _text(target: Target) -> str:
    """Name and score, or that it is lost, in the letters that OpenCV's font has."""
    plain = unicodedata.normalize("NFKD", target.id)
    name = "".join(letter if " " <= letter <= "~" else "?" for letter in plain if not unicodedata.combining(letter))
    return f"{name} lost" if target.status == "lost" else f"{name} {target.score:.2f}"


def _label(drawn: Image, text: str, box: Rectangle, taken: Sequence[Rectangle], colour: Colour) -> Rectangle:
    """Write dark on a plate in the target's colour, within the frame and beside other plates; the plate's place."""
    height, width = drawn.shape[:2]
    scale = max(0.4, min(height, width) / 900)
    (across, up), down = cv2.getTextSize(text, _FONT, scale, _stroke(scale))
    margin = max(2, round(5 * scale))
    across, up = across + 2 * margin, up + down + 2 * margin
    left, top, right, bottom = box
    places = [(left, top - up), (left, bottom), (right - across, top - up), (right - across, bottom), (left, top)]
    # Beside one another, plates are moved down from their first place until one is free.
    places += [(left, top - up + step * up) for step in range(1, 9)]
    plates = [_within(x, y, across, up, width, height) for x, y in places]
    plate = next((plate for plate in plates if not any(_overlap(plate, other) for other in taken)), plates[0])
    cv2.rectangle(drawn, plate[:2], plate[2:], colour, cv2.FILLED)
    at = plate[0] + margin, plate[3] - margin - down
    cv2.putText(drawn, text, at, _FONT, scale, _INK, _stroke(scale), cv2.LINE_AA)
    return plate


def _stroke(scale: float) -> int:
    return max(1, round(1.6 * scale))


def _within(x: int, y: int, across: int, up: int, width: int, height: int) -> Rectangle:
    x, y = max(0, min(x, width - across)), max(0, min(y, height - up))
    return x, y, x + across, y + up


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
