"""Tracking on a part of a frame: what it wants, and what it says where it does not see enough."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.boxes import Box
from model.calibration import Calibration
from model.config import TrackerConfig, preset
from model.frames import Frame, Window
from model.response import MapResponse
from model.search import Search
from model.tracker import Conclusion, Track, Tracker

SIZE = (640, 480)
BLACK = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
SURE, UNSURE = Calibration(bias=100), Calibration(bias=-0.5, logit=0)
TRACKER = Tracker(preset("paper"), TrackerConfig(scales=1, window_influence=0, upscale=1), SURE)
BOX = Box.around((300, 200), (40, 40))
TRACK = Track(BOX, BOX.size, (1.0, 2.0, 3.0), speed=20.0)


def part(left: int, top: int, right: int, bottom: int) -> Frame:
    """That part of a black frame of SIZE."""
    return Frame(BLACK[top:bottom, left:right], SIZE, Window(left, top, right, bottom))


def maps_with_peaks(*places: tuple[int, int]) -> np.ndarray:
    """A map for each place (column, row), which is its peak."""
    maps = np.zeros((len(places), 17, 17), np.float32)
    for each, (column, row) in zip(maps, places, strict=True):
        each[row, column] = 1
    return maps


def concluded(search: Search, *places: tuple[int, int], track: Track = TRACK, by: Tracker = TRACKER) -> Conclusion:
    return by.conclude(track, search, MapResponse(maps_with_peaks(*places), search.shares), SIZE)


def test_a_search_wants_its_regions_and_a_frame_of_motion_around_them() -> None:
    # The region's side is 80 * 255 / 127 = 160.6; a pixel of it 0.63, the speed 20 of them, and two pixels' border.
    reach = 80 * 255 / 127 * (0.5 + 20 / 255) + 2
    wanted = TRACKER.wants(TRACK, SIZE)
    assert wanted == Window(*(2 * int(edge // 2) for edge in (300 - reach, 200 - reach, 302 + reach, 202 + reach)))


def test_a_fast_target_wants_more_and_a_still_one_some() -> None:
    still, fast = (TRACKER.wants(replace(TRACK, speed=speed), SIZE) for speed in (0.0, 60.0))
    assert still is not None
    assert fast is not None
    assert fast.holds(still)
    assert fast.area > still.area
    (region,) = TRACKER.plan(TRACK, SIZE).regions
    assert still.area > 1.1 * region.side**2


def test_all_scales_are_wanted() -> None:
    tracker = replace(TRACKER, constants=TrackerConfig(scales=3))
    wanted = tracker.wants(replace(TRACK, speed=0.0), SIZE)
    for region in tracker.plan(TRACK, SIZE).regions:
        assert wanted is not None
        assert wanted.holds(region.seen_in(Frame.whole(BLACK)))


def test_a_lost_target_wants_the_whole_frame() -> None:
    tracker = replace(TRACKER, constants=TrackerConfig(scales=3))
    lost = replace(TRACK, status="lost", lost_for=1)
    assert tracker.wants(lost, SIZE) is None
    assert replace(tracker, constants=TrackerConfig(scales=3, redetect=False)).wants(lost, SIZE) is not None


def test_a_large_target_may_be_read_from_a_scaled_image() -> None:
    # The region is four times the box, and ten times the crop.
    large = replace(TRACK, box=Box.around((300, 200), (640, 640)))
    assert (TRACKER.shrink(TRACK, SIZE), TRACKER.shrink(large, SIZE)) == (1, 8)


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_a_part_that_shows_enough_changes_nothing(left: int, top: int, right: int, bottom: int) -> None:
    wanted = TRACKER.wants(TRACK, SIZE)
    assert wanted is not None
    seen = part(wanted.left - left, wanted.top - top, wanted.right + right, wanted.bottom + bottom)
    whole = TRACKER.search(Frame.whole(BLACK), TRACK)
    ours = TRACKER.search(seen, TRACK)
    assert concluded(ours, (10, 7)) == concluded(whole, (10, 7))


def test_a_part_that_shows_half_is_never_tracking_and_its_target_is_believed_where_it_is_shown() -> None:
    search = TRACKER.search(part(0, 0, 300, 480), TRACK)
    # Five cells of 5.04 px to the left: the box ends at 295.
    track = concluded(search, (3, 8)).track
    assert track.box.center == pytest.approx((300 - 5 * 8 * 160.63 / 255, 200), abs=0.01)
    assert (track.status, track.score) == ("uncertain", pytest.approx(0.25, abs=0.01))


def test_a_target_where_nothing_is_shown_stays() -> None:
    search = TRACKER.search(part(0, 0, 300, 480), TRACK)
    track = concluded(search, (13, 8)).track
    assert (track.box, track.speed, track.lost_for) == (TRACK.box, TRACK.speed, 0)
    assert (track.status, track.score) == ("uncertain", pytest.approx(0.25, abs=0.01))


def test_a_target_that_is_not_sure_stays_too() -> None:
    tracker = replace(TRACKER, calibration=UNSURE)
    search = tracker.search(part(0, 0, 300, 480), TRACK)
    track = concluded(search, (3, 8), by=tracker).track
    assert (track.box, track.status) == (TRACK.box, "lost")
    assert track.score == pytest.approx(1 / (1 + np.exp(0.5)) / 2, abs=0.01)


def test_a_part_that_shows_nothing_loses_the_target_where_it_was() -> None:
    search = TRACKER.search(part(500, 300, 600, 400), TRACK)
    first = concluded(search, (3, 8)).track
    assert (first.box, first.status, first.score, first.lost_for) == (TRACK.box, "lost", 0.0, 1)
    assert first.seen == TRACK.box.center
    again = concluded(search, (3, 8), track=first).track
    assert (again.box, again.lost_for, again.seen) == (TRACK.box, 2, TRACK.box.center)
    found = concluded(TRACKER.search(Frame.whole(BLACK), TRACK), (9, 8), track=again).track
    assert (found.status, found.lost_for) == ("tracking", 0)


@pytest.mark.parametrize("margin", [0.0, 0.3])
@given(st.integers(0, 600), st.integers(0, 440), st.integers(1, 640), st.integers(1, 480), st.integers(0, 16))
def test_no_part_makes_a_target_that_it_does_not_show_tracking(
    margin: float, left: int, top: int, width: int, height: int, column: int
) -> None:
    seen = part(left, top, min(640, left + width), min(480, top + height))
    tracker = replace(TRACKER, calibration=Calibration(bias=margin))
    track = concluded(tracker.search(seen, TRACK), (column, 8), by=tracker).track
    inside = Window(left, top, left + width, top + height)
    box = track.box
    shown = inside.holds(Window(int(box.x) + 2, int(box.y) + 2, int(box.x + box.w) - 2, int(box.y + box.h) - 2))
    assert shown or track.status != "tracking"


def test_a_lost_target_does_not_appear_in_a_region_that_is_not_shown() -> None:
    tracker = replace(TRACKER, constants=TrackerConfig(scales=3, upscale=1))
    lost = replace(TRACK, status="lost", lost_for=2, seen=TRACK.box.center)
    regions = tracker.plan(lost, SIZE).regions
    shows_the_middle = regions[1].seen_in(Frame.whole(BLACK))
    search = tracker.search(Frame(shows_the_middle.view(BLACK), SIZE, shows_the_middle), lost)
    maps = maps_with_peaks((8, 8), (8, 8), (8, 8))
    maps[0] *= 50
    maps[1] -= 150
    calibrated = replace(tracker, calibration=Calibration())
    whole = calibrated.search(Frame.whole(BLACK), lost)
    assert calibrated.locate(whole, MapResponse(maps, whole.shares)).scale == 0
    found = calibrated.conclude(lost, search, MapResponse(maps, search.shares), SIZE)
    assert (found.track.status, found.peak.scale) == ("lost", 1)


def test_a_lost_target_needs_more_than_half_a_look_to_be_found() -> None:
    lost = replace(TRACK, status="lost", lost_for=3, seen=TRACK.box.center)
    tracker = replace(TRACKER, constants=replace(TRACKER.constants, redetect=False))
    hidden = concluded(tracker.search(part(0, 0, 300, 480), lost), (13, 8), track=lost, by=tracker).track
    assert (hidden.status, hidden.lost_for, hidden.box) == ("lost", 4, lost.box)
    shown = concluded(tracker.search(part(0, 0, 300, 480), lost), (3, 8), track=lost, by=tracker).track
    assert (shown.status, shown.lost_for) == ("uncertain", 0)
