"""The tracker step of a network with a box head: one region a frame, offset and size from the head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.boxes import Box
from model.calibration import Calibration
from model.config import TrackerConfig, preset
from model.crops import context_side
from model.frames import Frame, Window
from model.response import MapResponse
from model.tracker import Track, Tracker

SWIFT = preset("swift")
FRAME = (640, 480)
PLAIN = TrackerConfig(scales=1, window_influence=0, scale_damping=1.0, offset_share=1.0)
SURE, LOST = Calibration(bias=100), Calibration(bias=-100)
BOX = Box.around((320.0, 240.0), (60.0, 40.0))
TRACK = Track(BOX, BOX.size, (0.0, 0.0, 0.0))
CELL = 16 * context_side(BOX.size, 0.5) / 127
"""Frame pixels a cell of the map."""
CERTAIN = 99.0
BLACK = Frame.whole(np.zeros((480, 640, 3), np.uint8))


def response(outputs: tuple[float, ...], at: tuple[int, int] = (6, 6)) -> MapResponse:
    """A map with its peak at a cell (row, column), and a head that says the same everywhere."""
    maps = np.zeros((1, 13, 13), np.float32)
    maps[0, at[0], at[1]] = 5
    boxes = np.tile(np.array(outputs, np.float32)[None, :, None, None], (1, 1, 13, 13))
    return MapResponse(maps, (0.0,), boxes)


def moved(
    outputs: tuple[float, ...],
    constants: TrackerConfig = PLAIN,
    *,
    at: tuple[int, int] = (6, 6),
    track: Track = TRACK,
    calibration: Calibration = SURE,
) -> Track:
    tracker = Tracker(SWIFT, constants, calibration)
    search = tracker.search(BLACK, track)
    return tracker.conclude(track, search, response(outputs, at), FRAME).track


def test_one_region_is_searched_and_the_exemplars_box_is_told() -> None:
    search = Tracker(SWIFT, PLAIN).search(BLACK, TRACK)
    assert len(search.regions) == 1
    # sqrt((60 + 50)(40 + 50)) = 99.5 px of the frame become 127 of the crop.
    assert search.exemplar_box == pytest.approx((60 * 127 / 99.499, 40 * 127 / 99.499), rel=1e-4)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        pytest.param(0.0, (2.0, -1.0), id="the peak's cell alone"),
        pytest.param(1.0, (2.5, -1.25), id="the cell and the head's offset"),
        pytest.param(0.5, (2.25, -1.125), id="half of each"),
    ],
)
def test_the_place_is_between_peak_and_box(share: float, expected: tuple[float, float]) -> None:
    track = moved((0.5, -0.25, 0, 0, CERTAIN), replace(PLAIN, offset_share=share), at=(5, 8))
    x, y = track.box.center
    # An upscaled peak with zeros around it lies on its cell.
    assert ((x - 320) / CELL, (y - 240) / CELL) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("quality", "damping", "expected"),
    [
        pytest.param(CERTAIN, 1.0, (120.0, 20.0), id="certain and undamped: the head's size"),
        pytest.param(CERTAIN, 0.0, (60.0, 40.0), id="damped to nothing: as it was"),
        pytest.param(CERTAIN, 0.5, (60 * 2**0.5, 40 * 0.5**0.5), id="half of the change"),
        pytest.param(0.0, 1.0, (60 * 2**0.5, 40 * 0.5**0.5), id="half certain: half of the change"),
        pytest.param(-99.0, 1.0, (60.0, 40.0), id="a box that is not believed: as it was"),
    ],
)
def test_width_and_height_change_apart(quality: float, damping: float, expected: tuple[float, float]) -> None:
    outputs = (0, 0, float(np.log(2)), -float(np.log(2)), quality)
    assert moved(outputs, replace(PLAIN, scale_damping=damping)).box.size == pytest.approx(expected, rel=1e-5)


def test_the_size_is_measured_against_the_exemplar_not_the_last_frame() -> None:
    """A head that says "as the exemplar" brings a target back to its first size however large it has become."""
    grown = replace(TRACK, box=Box.around(BOX.center, (90.0, 60.0)))
    # The region has grown with the target, so the exemplar's size is two thirds of what it shows.
    smaller = (0, 0, float(np.log(2 / 3)), float(np.log(2 / 3)), CERTAIN)
    assert moved(smaller, track=grown).box.size == pytest.approx((60.0, 40.0), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "size", "first", "expected"),
    [
        pytest.param((-3, 0), (4, 40), (4, 40), (2, 40), id="never below min_side, each side alone"),
        pytest.param((3, 0), (400, 40), (60, 40), (600, 40), id="never beyond max_growth"),
        pytest.param((0, 3), (60, 900), (60, 900), (60, 960), id="never beyond max_frame_share"),
        pytest.param((-3, 0), (1.5, 40), (1.5, 40), (1.5, 40), id="given below the bound: not smaller still"),
    ],
)
def test_each_side_is_bounded(
    change: tuple[float, float],
    size: tuple[float, float],
    first: tuple[float, float],
    expected: tuple[float, float],
) -> None:
    track = Track(Box.around(BOX.center, size), first, (0.0, 0.0, 0.0))
    found = moved((0, 0, *change, CERTAIN), track=track).box.size
    side = 0 if change[0] else 1
    assert found[side] == pytest.approx(expected[side])


def test_a_lost_target_keeps_its_size() -> None:
    track = moved((0, 0, 1, 1, CERTAIN), calibration=LOST)
    assert (track.status, track.box.size) == ("lost", BOX.size)


def test_a_lost_target_is_looked_for_at_its_place_first_and_then_elsewhere_in_turn() -> None:
    tracker, frame = Tracker(SWIFT, PLAIN), BLACK
    here = []
    for lost_for in range(1, 13):
        lost = replace(TRACK, status="lost", seen=BOX.center, lost_for=lost_for)
        search = tracker.search(frame, lost)
        assert search.apart
        assert len(search.regions) == 1
        here.append(search.here == 0)
        at_place = (search.regions[0].cx, search.regions[0].cy) == BOX.center
        assert at_place is here[-1]
    assert here == [True, True, True, True, False, True, False, True, False, True, False, True]


@pytest.mark.parametrize(
    ("needed", "expected"),
    [pytest.param(0.9, "tracking", id="believed"), pytest.param(1.0, "lost", id="not believed")],
)
def test_a_peak_elsewhere_moves_a_lost_target_only_if_it_is_believed(needed: float, expected: str) -> None:
    lost = replace(TRACK, status="lost", seen=BOX.center, lost_for=5)
    # A peak of 5 has a score of 0.993.
    track = moved((0, 0, 0, 0, CERTAIN), replace(PLAIN, redetect_score=needed), track=lost, calibration=Calibration())
    assert track.status == expected
    assert (track.box == BOX) is (expected == "lost")
    assert track.lost_for == (6 if expected == "lost" else 0)


def test_the_quality_counts_in_the_score() -> None:
    calibration = Calibration(bias=0.0, logit=0.0, quality=1.0)
    scores = [moved((0, 0, 0, 0, quality), calibration=calibration).score for quality in (-2.0, 0.0, 2.0)]
    assert scores == pytest.approx([1 / (1 + np.exp(2)), 0.5, 1 / (1 + np.exp(-2))])


ZERO = (0.25, -0.5, 0.2, -0.1, CERTAIN)
"""What a head reads in a target's own first frame."""


def settled(outputs: tuple[float, ...], at: tuple[int, int] = (6, 6), part: Frame = BLACK) -> Track:
    tracker = Tracker(SWIFT, PLAIN, SURE)
    return tracker.settle(TRACK, tracker.search(part, TRACK), response(outputs, at))


def test_a_head_that_reads_what_it_read_in_the_first_frame_changes_nothing() -> None:
    track = moved(ZERO, track=settled(ZERO))
    assert track.box.as_list() == pytest.approx(BOX.as_list(), abs=1e-3)
    assert moved(ZERO).box.as_list() != pytest.approx(BOX.as_list(), abs=1)


def test_what_it_reads_beyond_that_is_taken_over() -> None:
    more = (ZERO[0] + 1, ZERO[1], ZERO[2] + float(np.log(2)), ZERO[3] - float(np.log(2)), CERTAIN)
    track = moved(more, track=settled(ZERO))
    assert track.box.size == pytest.approx((120.0, 20.0), rel=1e-4)
    assert track.box.center == pytest.approx((320 + CELL, 240), abs=1e-2)


@pytest.mark.parametrize(
    ("at", "part"),
    [
        pytest.param((6, 9), BLACK, id="a peak far from the target"),
        pytest.param(
            (6, 6),
            Frame(np.zeros((60, 60, 3), np.uint8), FRAME, Window(300, 220, 360, 280)),
            id="a part that shows too little",
        ),
    ],
)
def test_a_first_frame_that_says_nothing_leaves_the_track_as_it_is(at: tuple[int, int], part: Frame) -> None:
    assert settled(ZERO, at, part) == TRACK


def test_a_network_without_a_head_settles_nothing() -> None:
    tracker = Tracker(preset("paper"))
    found = MapResponse(np.zeros((3, 17, 17), np.float32), (0.0, 0.0, 0.0))
    assert tracker.settle(TRACK, tracker.search(BLACK, TRACK), found) == TRACK


def test_the_score_knows_that_a_target_is_thin() -> None:
    thin = Box.around((320.0, 240.0), (120.0, 6.0))
    calibration = Calibration(bias=3.0, logit=0.0, thinness=5.0)
    tracks = [Track(box, box.size, (0.0, 0.0, 0.0)) for box in (BOX, thin)]
    scores = [moved((0, 0, 0, 0, CERTAIN), track=track, calibration=calibration).score for track in tracks]
    assert scores[0] == pytest.approx(1 / (1 + np.exp(-3)))
    assert scores[1] < 0.94
