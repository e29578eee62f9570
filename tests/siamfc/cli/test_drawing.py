"""What is drawn on a frame: a box that says the status, a label that can be read, a trail; a colour a target."""

from __future__ import annotations

import numpy as np
import pytest

from siamfc.cli.drawing import COLOURS, TRAIL, Overlay, _label, _text
from siamfc.client import Target

BLACK = np.zeros((240, 320, 3), np.uint8)


def target(box: tuple[float, float, float, float], status: str = "tracking", name: str = "0") -> Target:
    return Target(name, box, 0.5, status)


def share(drawn: np.ndarray, rows: slice | int, columns: slice | int, colour: tuple[int, ...] = COLOURS[0]) -> float:
    """The share of those pixels that have the colour."""
    return float(np.mean(np.all(drawn[rows, columns] == colour, axis=-1)))


@pytest.mark.parametrize(
    ("status", "least", "most"),
    [
        pytest.param("tracking", 1.0, 1.0, id="a whole line"),
        pytest.param("uncertain", 0.3, 0.8, id="dashes"),
        pytest.param("lost", 0.1, 0.5, id="corners"),
        pytest.param("something new", 1.0, 1.0, id="a status of a later server"),
    ],
)
def test_the_box_says_the_status(status: str, least: float, most: float) -> None:
    drawn = Overlay().draw(BLACK, [target((100, 100, 120, 80), status)])
    sides = [share(drawn, 180, slice(100, 221)), share(drawn, slice(100, 181), 220)]
    assert all(least <= side <= most for side in sides)
    assert share(drawn, slice(175, 185), slice(98, 103)) > 0.1
    assert not BLACK.any()


def test_every_target_keeps_a_colour_of_its_own() -> None:
    overlay = Overlay()
    names = [str(number) for number in range(len(COLOURS))]
    assert [overlay.colour(name) for name in names] == list(COLOURS)
    assert overlay.colour("3") == COLOURS[3]
    assert overlay.colour("one more") == COLOURS[0]


@pytest.mark.parametrize("box", [(-50, -50, 10, 10), (1e6, 1e6, 1e6, 1e6), (-1e5, 3, 2e5, 5), (0, 0, 0.4, 0.4)])
@pytest.mark.parametrize("status", ["tracking", "uncertain", "lost"])
@pytest.mark.parametrize("size", [(60, 80), (1, 1)])
def test_boxes_anywhere(box: tuple[float, ...], status: str, size: tuple[int, int]) -> None:
    frame = np.zeros((*size, 3), np.uint8)
    assert Overlay().draw(frame, [target(box, status)]).shape == frame.shape  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        pytest.param("cup", "tracking", "cup 0.50", id="a name"),
        pytest.param("Käfer", "tracking", "Kafer 0.50", id="a letter with a mark"),
        pytest.param("猫", "uncertain", "? 0.50", id="a letter the font has not"),
        pytest.param("cup", "lost", "cup lost", id="lost"),
    ],
)
def test_the_label_s_text(name: str, status: str, text: str) -> None:
    assert _text(target((1, 2, 3, 4), status, name)) == text


@pytest.mark.parametrize(
    "box", [(0, 0, 20, 20), (300, 0, 20, 20), (300, 220, 20, 20), (100, 100, 40, 40), (-90, 5, 9, 9)]
)
def test_a_label_lies_in_the_frame_on_a_plate(box: tuple[int, int, int, int]) -> None:
    x, y, w, h = box
    drawn = BLACK.copy()
    left, top, right, bottom = _label(drawn, "cup 0.50", (x, y, x + w, y + h), [], COLOURS[1])
    assert 0 <= left < right <= 320
    assert 0 <= top < bottom <= 240
    assert 0.5 < share(drawn, slice(top, bottom), slice(left, right), COLOURS[1]) < 0.95


def test_labels_of_targets_at_one_place_do_not_overlap() -> None:
    drawn = BLACK.copy()
    taken: list[tuple[int, int, int, int]] = []
    for _ in range(4):
        taken.append(_label(drawn, "cup 0.50", (100, 100, 140, 140), taken, COLOURS[0]))
    painted = np.zeros(BLACK.shape[:2], int)
    for left, top, right, bottom in taken:
        painted[top:bottom, left:right] += 1
    assert painted.max() == 1


def test_the_trail_follows_the_middle_and_ends_where_the_target_is_lost() -> None:
    overlay = Overlay()
    for step in range(TRAIL + 20):
        drawn = overlay.draw(BLACK, [target((10 + 3 * step, 200, 21, 21))])
    middle = 10 + 3 * (TRAIL + 19) + 10
    lit = drawn[210].any(axis=1)
    assert lit[middle - 3 * (TRAIL - 2) : middle].all()
    assert not lit[: middle - 3 * (TRAIL + 1)].any()
    overlay.draw(BLACK, [target((middle, 200, 21, 21), "lost")])
    drawn = overlay.draw(BLACK, [target((10, 20, 21, 21))])
    assert not drawn[210].any()
