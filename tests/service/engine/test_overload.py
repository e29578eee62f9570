"""The overload guard: when it refuses new sessions, when it accepts them again, and what is no overload."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from service.engine.overload import OverloadGuard
from service.errors import AtCapacity
from tests.support.clock import Clock

BOUND_S = 1.0


class Door:
    """A guard with a clock of its own, and frames that pass it."""

    def __init__(self, bound_s: float = BOUND_S) -> None:
        self.clock = Clock()
        self.guard = OverloadGuard(bound_s, self.clock)

    def frames(self, waits: Iterable[float], targets: int = 1, every_s: float = 0.1) -> None:
        """Pass one frame after the other, each of which has waited that long."""
        for wait in waits:
            with self.guard.passage(targets) as passage:
                self.clock.advance(every_s)
                passage.waited_s = wait


def nothing(door: Door) -> None:
    """No frames at all."""


def idle_for_long(door: Door) -> None:
    door.clock.advance(3600)


def one_that_floods(door: Door) -> None:
    """A client that sends a frame when the last one is answered: it waits for no other session."""
    door.frames([0.002] * 3000, every_s=0.04)


def a_burst(door: Door) -> None:
    door.frames([5.0] * 20, every_s=0.05)


def slow_first_frames(door: Door) -> None:
    door.clock.advance(60)
    door.frames([30.0, 10.0], every_s=0.2)


def many_targets(door: Door) -> None:
    """Two sessions of sixteen targets by turns: a frame waits for sixteen targets of the other session."""
    door.frames([16 * 0.5] * 200, targets=16)


def just_below(door: Door) -> None:
    door.frames([0.95 * BOUND_S] * 600)


def worked_off(door: Door) -> None:
    """Waits above the bound for long, then falling."""
    door.frames([0.9 * BOUND_S] * 300)
    door.frames([1.0 - 0.1 * step for step in range(10) for _ in range(5)])


def failed_frames(door: Door) -> None:
    for _ in range(200):
        door.clock.advance(0.5)
        with pytest.raises(ZeroDivisionError), door.guard.passage(1):
            raise ZeroDivisionError


def frames_without_targets(door: Door) -> None:
    door.frames([9.0] * 200, targets=0)


ADMITTED = [
    nothing,
    idle_for_long,
    one_that_floods,
    a_burst,
    slow_first_frames,
    many_targets,
    just_below,
    worked_off,
    failed_frames,
    frames_without_targets,
]


@pytest.mark.parametrize("happens", ADMITTED, ids=lambda each: each.__name__)
def test_is_no_overload(happens: Callable[[Door], None]) -> None:
    door = Door()
    happens(door)
    door.guard.check()
    assert not door.guard.refusing


def overloaded(bound_s: float = BOUND_S) -> Door:
    """A server that has been behind for half a minute."""
    door = Door(bound_s)
    door.frames([2.0] * 300)
    return door


def test_long_waits_refuse_new_sessions_and_say_when_to_come_back() -> None:
    door = overloaded()
    assert door.guard.refusing
    assert door.guard.wait_s == pytest.approx(2, abs=0.01)
    with pytest.raises(AtCapacity, match=r"2\.0 s") as caught:
        door.guard.check()
    assert caught.value.retry_after_s


def test_it_takes_seconds_not_one_frame() -> None:
    door, frames = Door(), 0
    while not door.guard.refusing:
        door.frames([2.0])
        frames += 1
    assert 20 < frames < 100  # ten a second


def test_a_bound_of_zero_refuses_nobody() -> None:
    overloaded(bound_s=0.0).guard.check()


def test_many_sessions_of_many_targets_are_an_overload() -> None:
    door = Door()
    door.frames([16 * 2.0] * 300, targets=16)
    assert door.guard.refusing


def test_a_wait_around_the_bound_does_not_open_and_shut() -> None:
    door, changes, last = overloaded(), 0, True
    for _ in range(100):
        door.frames([0.8] * 10 + [1.2] * 10)
        changes += door.guard.refusing != last
        last = door.guard.refusing
    assert (changes, last) == (0, True)


def test_sessions_are_accepted_again_after_relief() -> None:
    door = overloaded()
    door.frames([0.5] * 60)
    door.guard.check()


def test_sessions_are_accepted_again_after_silence() -> None:
    door = overloaded()
    door.clock.advance(3)
    door.guard.check()
    door.clock.advance(3600)
    assert door.guard.wait_s == pytest.approx(0)


def test_a_hanging_device_is_not_silence() -> None:
    door = overloaded()
    with door.guard.passage(1):
        door.clock.advance(600)
        assert door.guard.refusing
