"""The part that a search wants, and how much of a search a part shows: by hand, and over random windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from model.boxes import Box
from model.crops import Region
from model.frames import Frame, Window
from model.parts import Coverage, holds_wanted, shrink_for, wanted_part

SIZE = (640, 480)


def frame(left: int, top: int, right: int, bottom: int) -> Frame:
    """A black frame of SIZE, of which that part is at hand."""
    return Frame(np.zeros((bottom - top, right - left, 3), np.uint8), SIZE, Window(left, top, right, bottom))


@pytest.mark.parametrize(
    ("region", "margin", "expected"),
    [
        pytest.param(Region(300, 200, 100), 0, Window(250, 150, 350, 250), id="as it is"),
        pytest.param(Region(300, 200, 100), 5, Window(244, 144, 356, 256), id="odd edges go outwards"),
        pytest.param(Region(300.7, 200.2, 100), 0, Window(250, 150, 352, 252), id="fractions go outwards"),
        pytest.param(Region(10, 470, 100), 0, Window(0, 420, 60, 480), id="at the frame's edge"),
        pytest.param(Region(320, 240, 100), 1000, None, id="more than the frame"),
        pytest.param(Region(320, 240, 480), 0, Window(80, 0, 560, 480), id="exactly the share that saves"),
        pytest.param(Region(320, 240, 484), 0, None, id="too much to save anything"),
        pytest.param(Region(-500, 200, 100), 0, None, id="off the frame"),
    ],
)
def test_the_wanted_part_by_hand(region: Region, margin: float, expected: Window | None) -> None:
    assert wanted_part([region], margin, SIZE) == expected


def test_the_wanted_part_holds_all_regions() -> None:
    assert wanted_part([Region(100, 100, 40), Region(200, 150, 20)], 2, SIZE) == Window(78, 78, 212, 162)


def test_odd_frames_end_where_they_end() -> None:
    assert wanted_part([Region(90, 60, 40)], 0, (101, 75)) == Window(70, 40, 101, 75)


numbers = st.floats(-50, 700)


@given(st.lists(st.builds(Region, numbers, numbers, st.floats(1, 400)), min_size=1, max_size=5), st.floats(0, 60))
def test_a_wanted_part_keeps_the_contract(regions: list[Region], margin: float) -> None:
    part = wanted_part(regions, margin, SIZE)
    assume(part is not None)
    assert part.left % 2 == part.top % 2 == 0
    assert Window(0, 0, *SIZE).holds(part)
    assert not part.empty
    for region in regions:
        seen = region.seen_in(Frame.whole(np.zeros((SIZE[1], SIZE[0], 3), np.uint8)))
        if margin >= 2 and not seen.empty:
            assert part.holds(seen)


@pytest.mark.parametrize(
    ("at_hand", "wanted", "expected"),
    [
        pytest.param((0, 0, 640, 480), None, True, id="the whole frame, as wanted"),
        pytest.param((0, 0, 640, 480), Window(10, 10, 20, 20), True, id="the whole frame"),
        pytest.param((10, 10, 20, 20), Window(10, 10, 20, 20), True, id="the part wanted"),
        pytest.param((8, 10, 20, 30), Window(10, 10, 20, 20), True, id="more"),
        pytest.param((12, 10, 20, 20), Window(10, 10, 20, 20), False, id="less"),
        pytest.param((0, 0, 640, 478), None, False, id="a part where the frame is wanted"),
    ],
)
def test_whether_a_wanted_part_is_there(
    at_hand: tuple[int, int, int, int], wanted: Window | None, expected: bool
) -> None:
    assert holds_wanted(frame(*at_hand), wanted) == expected


def test_the_whole_frame_needs_no_coverage() -> None:
    assert Coverage.of(frame(0, 0, 640, 480), [Region(0, 0, 10)]) is None


@pytest.mark.parametrize(
    ("region", "share"),
    [
        pytest.param(Region(200, 200, 100), 1.0, id="inside"),
        pytest.param(Region(100, 200, 100), 0.5, id="half"),
        pytest.param(Region(100, 100, 100), 0.25, id="a quarter"),
        pytest.param(Region(500, 400, 100), 0.0, id="away"),
        pytest.param(Region(-200, 200, 100), 1.0, id="off the frame, where nothing is missing"),
    ],
)
def test_the_share_of_a_region_that_a_part_shows(region: Region, share: float) -> None:
    coverage = Coverage.of(frame(100, 100, 300, 300), [region])
    assert coverage is not None
    assert coverage.shares == pytest.approx((share,))


def test_what_lies_outside_the_frame_is_not_missed() -> None:
    coverage = Coverage.of(frame(0, 0, 100, 100), [Region(0, 0, 100), Region(0, 100, 100)])
    assert coverage is not None
    assert coverage.shares == pytest.approx((1.0, 0.5))


@pytest.mark.parametrize(
    ("box", "shown"),
    [
        pytest.param(Box(150, 150, 40, 40), True, id="inside"),
        pytest.param(Box(97, 150, 40, 40), True, id="a little of it sticks out"),
        pytest.param(Box(90, 150, 40, 40), False, id="a quarter sticks out"),
    ],
)
def test_whether_a_box_is_shown(box: Box, shown: bool) -> None:
    coverage = Coverage.of(frame(100, 100, 300, 300), [Region(200, 200, 50)])
    assert coverage is not None
    assert coverage.shows(box) == shown


@pytest.mark.parametrize(
    ("sides", "factor"),
    [
        pytest.param([255], 1, id="as fine as the crop"),
        pytest.param([510], 1, id="twice as fine, which may be too little for the next frame"),
        pytest.param([638], 2, id="two and a half times"),
        pytest.param([3000, 638], 2, id="the finest counts"),
        pytest.param([1275], 4, id="five times"),
        pytest.param([2550], 8, id="ten times"),
        pytest.param([1e6], 8, id="no more than eight"),
        pytest.param([], 1, id="nothing to read"),
    ],
)
def test_how_far_an_image_may_be_scaled_down(sides: list[float], factor: int) -> None:
    assert shrink_for([Region(0, 0, side) for side in sides], 255) == factor
