"""Which part of a frame is sent: by hand, and over random histories."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamfc import Dropped, Failed, Result, Target
from siamfc.client.parts import PartChooser, checked_mode
from siamfc.client.refusals import from_status

SIZE = (640, 480)


def target(x: float = 100, y: float = 80, wants: Any = (60, 40, 120, 120), name: str = "0") -> Target:
    return Target(name, (x, y, 40.0, 40.0), 0.9, "tracking", wants=wants)


def result(*targets: Target, missed: tuple[str, ...] = ()) -> Result:
    return Result(0, 1, targets or (target(),), missed=missed)


def chooser(*targets: Target) -> PartChooser:
    return PartChooser(SIZE, targets or (target(),))


def widths(made: PartChooser, count: int) -> list[int]:
    """How wide the parts of so many frames are that are sent without an answer."""
    found = []
    for _ in range(count):
        part = made.choose(SIZE)
        assert part is not None
        made.sent()
        found.append(part[2])
    return found


def test_the_next_frame_is_sent_as_it_is_wanted() -> None:
    assert chooser().choose(SIZE) == (60, 40, 120, 120)


@pytest.mark.parametrize(
    ("targets", "size"),
    [
        pytest.param((target(wants=None),), SIZE, id="the whole frame is wanted"),
        pytest.param((target(), target(wants=None, name="1")), SIZE, id="one target wants the whole frame"),
        pytest.param((), SIZE, id="no target"),
        pytest.param((target(),), (640, 482), id="a frame of another size"),
        pytest.param((target(wants=(0, 0, 640, 400)),), SIZE, id="a part that saves little"),
        pytest.param((target(wants=(0, 0, 60, 60)), target(wants=(560, 400, 80, 80), name="1")), SIZE, id="far apart"),
        pytest.param((target(wants=(900, 900, 60, 60)),), SIZE, id="nonsense"),
    ],
)
def test_whole_frames(targets: tuple[Target, ...], size: tuple[int, int]) -> None:
    assert PartChooser(SIZE, targets).choose(size) is None


def test_one_part_serves_all_targets() -> None:
    both = chooser(target(), target(wants=(150, 100, 101, 51), name="1"))
    assert both.choose(SIZE) == (60, 40, 192, 120)


def test_frames_under_way_widen_the_part() -> None:
    made = chooser()
    first = widths(made, 4)
    assert first == sorted(set(first))
    made.answered(result(target(102)))
    # Two pixels a frame were seen: less than was assumed.
    assert first[3] > widths(made, 1)[0] > 120


def test_a_fast_target_widens_it_more() -> None:
    found = []
    for speed in (1.0, 10.0):
        made = chooser()
        for k in range(1, 4):
            made.sent()
            made.answered(result(target(100 + speed * k)))
        found.append(widths(made, 3)[2])
    assert found[1] > found[0] + 2 * 2 * 1.5 * 8


def test_a_frame_that_was_not_tracked_leaves_what_is_known_as_old_as_it_is() -> None:
    made = chooser()
    made.sent()
    made.answered(Dropped(0))
    dropped = made.choose(SIZE)
    made.sent()
    made.answered(Failed(1, from_status(422)))
    failed = made.choose(SIZE)
    assert dropped is not None
    assert failed is not None
    assert 120 < dropped[2] < failed[2]
    made.sent()
    made.answered(result())
    assert made.choose(SIZE) == (60, 40, 120, 120)


def test_motion_is_counted_by_the_frame() -> None:
    once, thrice = chooser(), chooser()
    for _ in range(3):
        thrice.sent()
    for answer in (Dropped(0), Dropped(1), result(target(112))):
        thrice.answered(answer)
    once.sent()
    once.answered(result(target(104)))
    assert widths(once, 3) == widths(thrice, 3)


def test_a_missed_part_widens_the_next_ones_for_a_while() -> None:
    made = chooser()
    made.sent()
    made.answered(result())
    before = widths(made, 2)[1]
    made.answered(result())
    made.answered(result(missed=("0",)))
    after = widths(made, 2)[1]
    assert after > before
    for _ in range(2):
        made.answered(result())
    for _ in range(10):
        made.sent()
        made.answered(result())
    assert widths(made, 2)[1] == before


def test_boxes_drawn_on_a_frame_need_it_whole_until_it_is_answered() -> None:
    made = chooser()
    made.sent()
    made.draw()
    assert made.choose(SIZE) is None
    made.sent()
    assert made.choose(SIZE) is None
    made.answered(result())
    assert made.choose(SIZE) is None
    made.answered(result(target(), target(name="new")))
    assert made.choose(SIZE) == (60, 40, 120, 120)


def test_frames_that_were_given_up_count_as_motion() -> None:
    made = chooser()
    widths(made, 2)
    made.disconnected()
    part = made.choose(SIZE)
    assert part is not None
    assert part[2] > 120
    made.sent()
    made.answered(result())
    assert made.choose(SIZE) == (60, 40, 120, 120)


numbers = st.integers(0, 700)


@given(
    st.lists(st.tuples(numbers, numbers, st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=3),
    st.integers(0, 6),
    st.integers(1, 700),
    st.integers(1, 500),
)
def test_a_part_lies_in_the_frame_on_even_pixels(
    wants: list[tuple[int, int, int, int]], frames: int, width: int, height: int
) -> None:
    made = PartChooser((width, height), [target(wants=each, name=str(k)) for k, each in enumerate(wants)])
    for _ in range(frames):
        made.sent()
    part = made.choose((width, height))
    if part is not None:
        x, y, w, h = part
        assert x % 2 == y % 2 == 0
        assert 0 <= x < x + w <= width
        assert 0 <= y < y + h <= height
        for left, top, across, down in wants:
            if left + across <= width and top + down <= height:
                assert x <= left
                assert y <= top
                assert left + across <= x + w
                assert top + down <= y + h


@pytest.mark.parametrize("mode", ["auto", "never"])
def test_modes(mode: Any) -> None:
    assert checked_mode(mode) == mode


def test_another_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="never"):
        checked_mode("always")  # type: ignore[arg-type]
