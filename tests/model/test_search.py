"""A search's pixels are those of its cutter, and a predictor refuses those of another."""

from __future__ import annotations

import numpy as np
import pytest

from model.crops import Region, cut
from model.frames import Frame
from model.search import Search, crops_of, cut_crops, cut_windows, windows_of
from model.windows import frame_windows

FILL = (10.0, 20.0, 30.0)
REGIONS = tuple(Region(50, 40, side) for side in (38, 40, 42))
PLAN = Search(REGIONS, (0.2,) * 3, 31, FILL)


@pytest.fixture
def frame(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (90, 120, 3), np.uint8)


def test_crops_are_cut_here(frame: np.ndarray) -> None:
    search = cut_crops(Frame.whole(frame), PLAN)
    np.testing.assert_array_equal(crops_of([search])[0], cut(Frame.whole(frame), REGIONS, 31, FILL))
    assert (search.regions, search.shares, search.apart) == (PLAN.regions, PLAN.shares, PLAN.apart)


def test_windows_are_left_to_a_device(frame: np.ndarray) -> None:
    (seen,) = windows_of([cut_windows(Frame.whole(frame), PLAN)])
    expected = frame_windows(Frame.whole(frame), REGIONS, 31, FILL)
    np.testing.assert_array_equal(seen.numbers, expected.numbers)
    assert all(map(np.array_equal, seen.images, expected.images))


def test_crops_of_several_lie_one_after_the_other(frame: np.ndarray) -> None:
    searches = [cut_crops(Frame.whole(frame), PLAN), cut_crops(Frame.whole(frame[::-1]), PLAN)]
    together = crops_of(searches)
    assert together.shape == (2, 3, 31, 31, 3)
    for own, search in zip(together, searches, strict=True):
        np.testing.assert_array_equal(own, crops_of([search])[0])


def test_the_crops_of_one_are_not_copied(frame: np.ndarray) -> None:
    search = cut_crops(Frame.whole(frame), PLAN)
    assert np.shares_memory(crops_of([search]), crops_of([search]))


def test_a_search_costs_the_same_whoever_cuts_it(frame: np.ndarray) -> None:
    whole = Frame.whole(frame)
    assert PLAN.cost == cut_crops(whole, PLAN).cost == cut_windows(whole, PLAN).cost == 3 * 31 * 31 * 3


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "among others"])
def test_searches_of_another_cutter_are_refused(frame: np.ndarray, others: int) -> None:
    crops, windows = cut_crops(Frame.whole(frame), PLAN), cut_windows(Frame.whole(frame), PLAN)
    with pytest.raises(ValueError, match="takes searches with crops"):
        crops_of([windows, *[crops] * others])
    with pytest.raises(ValueError, match="takes searches with windows"):
        windows_of([crops, *[windows] * others])
