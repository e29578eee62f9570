from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.boxes import Box
from model.calibration import Calibration, Status
from model.config import TrackerConfig, preset
from model.crops import Region
from model.frames import Frame
from model.response import MapResponse
from model.search import Search, crops_of
from model.tracker import Conclusion, Track, Tracker

PAPER = preset("paper")
ONE = TrackerConfig(scales=1, window_influence=0, upscale=1)
THREE = TrackerConfig(scales=3, window_influence=0, scale_penalty=1, upscale=1)
FRAME = (640, 480)
SURE = Calibration(bias=100)
LOST = Calibration(bias=-100)


def maps_with_peak(scales: int, scale: int, column: int, row: int) -> np.ndarray:
    maps = np.zeros((scales, 17, 17), np.float32)
    maps[scale, row, column] = 1
    return maps


def track_at(box: Box, first: tuple[float, float] | None = None) -> Track:
    return Track(box, first or box.size, (1.0, 2.0, 3.0))


def searched(track: Track, config: TrackerConfig, side: float = 510) -> Search:
    regions = tuple(Region(*track.box.center, side * factor) for factor in config.scale_factors)
    return Search(regions, (config.influence(track.speed),) * len(regions), 255, track.fill)


def concluded(
    track: Track, search: Search, maps: np.ndarray, config: TrackerConfig, calibration: Calibration, name: str = "paper"
) -> Conclusion:
    return Tracker(preset(name), config, calibration).conclude(track, search, MapResponse(maps, search.shares), FRAME)


def test_start_keeps_the_box_and_cuts_the_exemplar_around_it(rng: np.random.Generator) -> None:
    frame = rng.integers(0, 256, (480, 640, 3), np.uint8)
    # sqrt((w + m)(h + m)) = 127 for a square of 63.5, so crop and frame pixels are the same.
    box = Box.around((200.5, 300.5), (63.5, 63.5))
    track, exemplar = Tracker(PAPER).start(Frame.whole(frame), box)
    np.testing.assert_array_equal(exemplar, frame[237:364, 137:264])
    assert track.box == box
    assert track.first_size == box.size
    assert (track.score, track.status) == (1.0, "tracking")
    assert track.fill == pytest.approx(tuple(frame.mean((0, 1))), abs=1e-6)


def test_search_regions_lie_around_the_target_at_every_scale(rng: np.random.Generator) -> None:
    frame = rng.integers(0, 256, (480, 640, 3), np.uint8)
    track = track_at(Box(100, 50, 30, 40))
    search = Tracker(PAPER).search(Frame.whole(frame), track)
    # The exemplar covers sqrt(65 * 75), the search region 255 / 127 of it.
    side = math.sqrt(65 * 75) * 255 / 127
    assert [region.side for region in search.regions] == pytest.approx([side / 1.0375, side, side * 1.0375])
    assert {(region.cx, region.cy) for region in search.regions} == {(115, 70)}
    assert crops_of([search])[0].shape == (3, 255, 255, 3)
    assert crops_of([search]).dtype == np.uint8


def test_outside_the_frame_the_search_region_has_the_first_frames_colour() -> None:
    frame = np.full((100, 100, 3), 200, np.uint8)
    search = Tracker(PAPER, ONE).search(Frame.whole(frame), track_at(Box(-5, -5, 10, 10)))
    assert crops_of([search])[0, 0, 0, 0].tolist() == [1, 2, 3]
    assert crops_of([search])[0, 0, -1, -1].tolist() == [200, 200, 200]


def test_the_centre_moves_by_cells_times_stride() -> None:
    track = track_at(Box.around((300, 200), (40, 60)))
    # A region of 510 px on 255 crop pixels: a cell of 8 crop pixels is 16 px. Two to the right, one up.
    moved = concluded(track, searched(track, ONE), maps_with_peak(1, 0, 10, 7), ONE, SURE).track
    assert moved.box.center == pytest.approx((332, 184))
    assert moved.box.size == pytest.approx((40, 60))


def test_the_move_is_measured_in_the_region_of_the_chosen_scale() -> None:
    track = track_at(Box.around((300, 200), (40, 60)))
    moved = concluded(track, searched(track, THREE), maps_with_peak(3, 2, 10, 8), THREE, SURE).track
    assert moved.box.center == pytest.approx((300 + 32 * 1.0375, 200))


def test_the_size_takes_over_a_share_of_what_lies_between_scales() -> None:
    config = replace(THREE, scale_interpolation=True)
    track = track_at(Box(100, 100, 40, 60))
    maps = np.concatenate([maps_with_peak(1, 0, 8, 8) * height for height in (8, 10, 9)])
    moved = concluded(track, searched(track, config), maps, config, SURE).track
    # The parabola's top, a sixth of a step above the middle; the paper's step and damping.
    change = 1 + 0.59 * (1.0375 ** (1 / 6) - 1)
    assert moved.box.size == pytest.approx((40 * change, 60 * change))


@pytest.mark.parametrize(
    ("scale", "change"),
    [(0, 1 + 0.59 * (1 / 1.0375 - 1)), (1, 1.0), (2, 1 + 0.59 * 0.0375)],
    ids=["smaller", "same", "larger"],
)
def test_the_size_takes_over_a_share_of_the_scale(scale: int, change: float) -> None:
    track = track_at(Box.around((300, 200), (40, 60)))
    moved = concluded(track, searched(track, THREE), maps_with_peak(3, scale, 8, 8), THREE, SURE).track
    assert moved.box.size == pytest.approx((40 * change, 60 * change))


def test_a_lost_target_keeps_its_size_but_moves() -> None:
    track = track_at(Box.around((300, 200), (40, 60)))
    moved = concluded(track, searched(track, THREE), maps_with_peak(3, 2, 10, 8), THREE, LOST).track
    assert moved.status == "lost"
    assert moved.box.size == (40, 60)
    assert moved.box.center[0] > 330


WEAK = Calibration(bias=-4, logit=10)
"""A peak of 1 is surely right, one of 0.3 is lost."""


def lost_at(box: Box, seen: tuple[float, float], lost_for: int = 1) -> Track:
    return replace(track_at(box), status="lost", seen=seen, lost_for=lost_for)


def test_a_lost_target_is_searched_where_it_is_and_where_it_was_seen(rng: np.random.Generator) -> None:
    frame = rng.integers(0, 256, (480, 640, 3), np.uint8)
    track = lost_at(Box.around((300, 200), (40, 60)), seen=(320, 240))
    search = Tracker(PAPER, THREE).search(Frame.whole(frame), track)
    side = math.sqrt(90 * 110) * 255 / 127
    assert [region.side for region in search.regions] == pytest.approx([side] * 3)
    assert (search.regions[1].cx, search.regions[1].cy) == (300, 200)
    assert (search.regions[0].cx, search.regions[0].cy) == (320, 240)
    # The next place of the grid lies as far off as the displacements that one map covers.
    reach = side * 129 / 255
    assert math.dist((search.regions[2].cx, search.regions[2].cy), (320, 240)) == pytest.approx(reach)


def test_a_lost_targets_places_change_from_frame_to_frame(rng: np.random.Generator) -> None:
    frame = rng.integers(0, 256, (480, 640, 3), np.uint8)
    box = Box.around((300, 200), (20, 20))
    searches = [Tracker(PAPER, THREE).search(Frame.whole(frame), lost_at(box, (300, 200), n)) for n in (1, 2, 3)]
    places = [(region.cx, region.cy) for search in searches for region in (search.regions[0], search.regions[2])]
    assert len(set(places)) == 6


@pytest.mark.parametrize(
    ("tracker", "regions"),
    [(replace(THREE, redetect=False), 3), (ONE, 1)],
    ids=["switched off", "one scale"],
)
def test_without_re_detection_a_lost_target_is_searched_as_any_other(
    tracker: TrackerConfig, regions: int, rng: np.random.Generator
) -> None:
    frame = rng.integers(0, 256, (480, 640, 3), np.uint8)
    search = Tracker(PAPER, tracker).search(Frame.whole(frame), lost_at(Box.around((300, 200), (40, 60)), (0, 0)))
    assert len(search.regions) == regions
    assert {(region.cx, region.cy) for region in search.regions} == {(300, 200)}


def spread_out(track: Track) -> Search:
    places = ((100, 100), track.box.center, (500, 400))
    regions = tuple(Region(x, y, 510) for x, y in places)
    return Search(regions, (0.0,) * 3, 255, track.fill, apart=True, here=1)


def test_a_lost_target_is_found_elsewhere_and_keeps_its_size() -> None:
    track = lost_at(Box.around((300, 200), (40, 60)), (320, 240), lost_for=5)
    moved = concluded(track, spread_out(track), maps_with_peak(3, 2, 10, 8), THREE, WEAK).track
    assert moved.box.center == pytest.approx((532, 400))
    assert moved.box.size == (40, 60)
    assert (moved.status, moved.lost_for, moved.seen) == ("tracking", 0, moved.box.center)


def test_a_weak_peak_elsewhere_does_not_move_a_lost_target() -> None:
    track = lost_at(Box.around((300, 200), (40, 60)), (320, 240), lost_for=5)
    maps = 0.3 * maps_with_peak(3, 2, 10, 8)
    maps[1, 8, 9] = 0.2
    moved = concluded(track, spread_out(track), maps, THREE, WEAK).track
    assert moved.box.center == pytest.approx((316, 200))
    assert (moved.status, moved.lost_for, moved.seen) == ("lost", 6, (320, 240))


@pytest.mark.parametrize(
    ("size", "first", "scale", "expected"),
    [
        pytest.param((2.01, 3.0), (20, 30), 0, (2.0, 3 * 2 / 2.01), id="never below min_side"),
        pytest.param((200, 40), (20.1, 4.1), 2, (201, 40.2), id="never beyond max_growth"),
        pytest.param((1279, 100), (1000, 90), 2, (1280, 100 * 1280 / 1279), id="never beyond max_frame_share"),
        pytest.param((1.5, 1.5), (1.5, 1.5), 0, (1.5, 1.5), id="given below the bound: not smaller still"),
        pytest.param((1.5, 1.5), (1.5, 1.5), 1, (1.5, 1.5), id="given below the bound: left alone"),
        pytest.param((2000, 50), (2000, 50), 2, (2000, 50), id="given beyond the bound: not larger still"),
    ],
)
def test_the_size_is_bounded(
    size: tuple[float, float], first: tuple[float, float], scale: int, expected: tuple[float, float]
) -> None:
    track = track_at(Box.around((300, 200), size), first)
    moved = concluded(track, searched(track, THREE), maps_with_peak(3, scale, 8, 8), THREE, SURE).track
    assert moved.box.size == pytest.approx(expected)


@pytest.mark.parametrize(
    ("column", "row", "expected"),
    [(16, 8, (640, 200)), (0, 8, (0, 200)), (8, 0, (300, 0)), (8, 16, (300, 480))],
    ids=["right", "left", "top", "bottom"],
)
def test_the_centre_stays_in_the_frame(column: int, row: int, expected: tuple[float, float]) -> None:
    track = track_at(Box.around((300, 200), (40, 60)))
    search = searched(track, ONE, side=255 * 10)  # 80 px a cell
    moved = concluded(track, search, maps_with_peak(1, 0, column, row), ONE, SURE).track
    assert moved.box.center == pytest.approx(expected)


def test_the_step_is_pure(rng: np.random.Generator) -> None:
    frame = rng.integers(0, 256, (100, 120, 3), np.uint8)
    track = track_at(Box(30, 30, 20, 20))
    maps = rng.normal(size=(3, 17, 17)).astype(np.float32)
    for array in (frame, maps):
        array.setflags(write=False)
    results = []
    for _ in range(2):
        search = Tracker(PAPER).search(Frame.whole(frame), track)
        crops_of([search]).setflags(write=False)
        response = MapResponse(maps, search.shares)
        results.append(Tracker(PAPER).conclude(track, search, response, (120, 100)).track)
    assert results[0] == results[1]
    assert track == track_at(Box(30, 30, 20, 20))
    assert results[0].first_size == track.first_size
    assert results[0].fill == track.fill


@given(st.integers(0, 10**6), st.integers(1, 60))
@settings(max_examples=15)
def test_whatever_the_maps_say_the_track_stays_sane(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    size = tuple(rng.uniform(1, 300, 2))
    track = track_at(Box.around((rng.uniform(0, 640), rng.uniform(0, 480)), size))
    config = TrackerConfig(upscale=2)
    for _ in range(steps):
        side = float(np.hypot(*track.box.size))
        maps = (rng.normal(size=(3, 17, 17)) * 10 ** rng.uniform(-3, 3)).astype(np.float32)
        track = concluded(track, searched(track, config, side), maps, config, Calibration()).track
        x, y = track.box.center
        assert -1e-6 <= x <= 640 + 1e-6
        assert -1e-6 <= y <= 480 + 1e-6
        assert min(track.box.size) >= min(2.0, *size) - 1e-6
        assert track.box.w / track.box.h == pytest.approx(size[0] / size[1])
        assert 0 <= track.score <= 1


def test_map_region_is_the_square_of_displacements() -> None:
    track = track_at(Box.around((300, 200), (40, 60)))
    # 17 cells of stride 8 span 129 of the crop's 255 pixels, those 510 of the frame.
    assert Tracker(PAPER, ONE).map_region(searched(track, ONE), 0) == Region(300, 200, 258)


def test_a_track_is_a_value() -> None:
    track = track_at(Box(1, 2, 3, 4))
    assert replace(track, score=0.5) != track
    with pytest.raises(AttributeError):
        track.score = 0.5  # type: ignore[misc]


STILL = replace(THREE, window_influence=0.0, still_influence=0.5, still_speed=16.0)


def test_the_speed_is_a_mean_of_the_last_moves() -> None:
    track = replace(track_at(Box(200, 150, 40, 60)), speed=1.0)
    moved = concluded(track, searched(track, THREE), maps_with_peak(3, 1, 11, 12), THREE, SURE).track
    # 3 cells of 8 px across and 4 down: a fifth of 40 px and four fifths of what it was.
    assert moved.speed == pytest.approx(0.2 * 40 + 0.8 * 1.0)


def test_the_speed_does_not_depend_on_the_stride() -> None:
    track = replace(track_at(Box(200, 150, 40, 60)), speed=1.0)
    finer = preset("baseline")
    coarse = concluded(track, searched(track, THREE), maps_with_peak(3, 1, 11, 12), THREE, SURE).track
    # The same place: 8 px are a cell of the one map and two of the other, whose middle is its cell 16.
    maps = np.zeros((3, finer.map_size, finer.map_size), np.float32)
    maps[1, 24, 22] = 10.0
    fine = concluded(track, searched(track, THREE), maps, THREE, SURE, "baseline").track
    assert fine.speed == pytest.approx(coarse.speed)
    assert fine.box.center == pytest.approx(coarse.box.center)


@pytest.mark.parametrize("status", ["tracking", "lost"], ids=["being lost", "having been lost"])
def test_a_lost_target_keeps_its_speed(status: Status) -> None:
    track = replace(track_at(Box(200, 150, 40, 60)), speed=1.0, status=status)
    calibration = LOST if status == "tracking" else SURE
    config = replace(THREE, redetect=False)
    moved = concluded(track, searched(track, config), maps_with_peak(3, 1, 11, 12), config, calibration).track
    assert moved.speed == 1.0


@pytest.mark.parametrize(
    ("speed", "column"),
    [
        pytest.param(0.0, 8, id="who stands still is not believed to leap"),
        pytest.param(160.0, 15, id="who is fast is"),
    ],
)
def test_a_still_target_is_held_where_it_is(speed: float, column: int) -> None:
    maps = maps_with_peak(3, 1, 8, 8) + 1.02 * maps_with_peak(3, 1, 15, 8)
    track = replace(track_at(Box(200, 150, 40, 60)), speed=speed)
    assert concluded(track, searched(track, STILL), maps, STILL, SURE).peak.dx == column - 8
    # Without a speed to be still at, the window is the same for both.
    fast = replace(STILL, still_speed=0.0)
    assert concluded(track, searched(track, fast), maps, fast, SURE).peak.dx == 15 - 8


def test_concluding_says_the_peak_that_the_track_was_put_at() -> None:
    maps = maps_with_peak(3, 1, 8, 8) + 1.02 * maps_with_peak(3, 1, 15, 8)
    track = replace(track_at(Box(200, 150, 40, 60)), speed=0.0)
    done = concluded(track, searched(track, STILL), maps, STILL, SURE)
    # The window's choice, which the maps alone would not have made.
    assert (done.peak.scale, done.peak.dx, done.peak.dy) == (1, 0, 0)
    assert done.track.box.center == track.box.center


def test_the_windows_share_is_decided_with_the_search() -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    still = replace(track_at(Box(200, 150, 40, 60)), speed=0.0)
    tracker = Tracker(PAPER, STILL)
    assert tracker.search(Frame.whole(frame), still).shares == (0.5, 0.5, 0.5)
    # Away from where it was lost every place of a region is as likely.
    apart = tracker.search(Frame.whole(frame), replace(still, status="lost", lost_for=1))
    assert (apart.shares, apart.apart) == ((0.0, 0.5, 0.0), True)
