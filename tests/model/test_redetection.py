from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.redetection import RINGS, probes

FRAME = (640, 480)


def test_the_first_place_is_where_the_target_was_seen_and_the_nearest_come_next() -> None:
    assert probes((300, 200), 50, FRAME, 0, 1) == ((300, 200),)
    assert set(probes((300, 200), 50, FRAME, 1, 4)) == {(250, 200), (350, 200), (300, 150), (300, 250)}
    assert set(probes((300, 200), 50, FRAME, 5, 4)) == {(250, 150), (350, 150), (250, 250), (350, 250)}


def test_frame_after_frame_the_whole_grid_is_visited_and_then_again() -> None:
    places = (2 * RINGS + 1) ** 2
    grid = probes((320, 240), 20, FRAME, 0, places)
    by_two = [place for first in range(0, places + 1, 2) for place in probes((320, 240), 20, FRAME, first, 2)]
    assert len(set(grid)) == places
    assert tuple(by_two[:places]) == grid
    assert by_two[places] == grid[0]


@pytest.mark.parametrize(
    ("seen", "spacing"),
    [((5, 5), 100), ((640, 480), 100), ((320, 240), 1e6), ((0, 0), 1e-3)],
    ids=["a corner", "the far corner", "the frame in one region", "tiny"],
)
def test_no_place_lies_beyond_the_frame(seen: tuple[float, float], spacing: float) -> None:
    for x, y in probes(seen, spacing, FRAME, 0, 60):
        assert 0 <= x <= 640
        assert 0 <= y <= 480


@given(
    st.tuples(st.floats(-50, 700), st.floats(-50, 500)),
    st.floats(0.1, 1e4),
    st.integers(0, 10_000),
    st.integers(0, 6),
)
def test_there_are_always_as_many_places_as_asked_for(
    seen: tuple[float, float], spacing: float, first: int, count: int
) -> None:
    assert len(probes(seen, spacing, FRAME, first, count)) == count
