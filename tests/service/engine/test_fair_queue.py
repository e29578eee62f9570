"""The fair queue: equal shares for sessions, no starving, and callers who have gone cost nothing."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.fair_queue import FairQueue, JobPart, QueuedJob
from service.engine.jobs import Embed, Job, Load, Respond
from service.engine.slots import Slot
from tests.service.engine.conftest import search_of


def waiting(job: Job) -> QueuedJob:
    future: Future[Any] = Future()
    return QueuedJob(job, future, 0.0)  # type: ignore[arg-type]


def search(session: str, targets: int = 1) -> QueuedJob:
    """A job that searches for that many targets of equal cost."""
    slots = tuple(Slot(index, 1) for index in range(targets))
    return waiting(Respond(slots, (search_of(np.zeros((3, 4, 4, 3), np.uint8)),) * targets, session))


def embedding(session: str = "", targets: int = 1) -> QueuedJob:
    """A job that embeds that many exemplars, each at a twelfth of a search's cost."""
    slots = tuple(Slot(index, 1) for index in range(targets))
    return waiting(Embed(slots, np.zeros((targets, 2, 2, 3), np.uint8), session=session))


def taken(parts: list[JobPart]) -> list[tuple[str, int]]:
    """The session and the number of targets of every part."""
    return [(part.queued.job.session, part.stop - part.start) for part in parts]


class Crowd:
    """Sessions that send their next frame as soon as the last one is answered."""

    def __init__(self, targets: dict[str, int]) -> None:
        self.line, self.targets = FairQueue(), targets
        self.served = dict.fromkeys(targets, 0)
        self.frames = dict.fromkeys(targets, 0)
        for session in targets:
            self.line.add(search(session, targets[session]))

    def run_pass(self, most: int) -> set[str]:
        """Run one pass; returns the sessions whose frames were answered."""
        parts = self.line.take(most)
        answered = {part.queued.job.session for part in parts if part.last}
        for part in parts:
            session = part.queued.job.session
            if session in self.served:
                self.served[session] += part.stop - part.start
        for session in answered & set(self.targets):
            self.frames[session] += 1
            self.line.add(search(session, self.targets[session]))
        return answered


SINGLES = {f"single-{index}": 1 for index in range(15)}


@pytest.mark.parametrize("most", [1, 4, 8, 31])
def test_a_session_of_sixteen_targets_has_the_share_of_one(most: int) -> None:
    crowd = Crowd({"big": 16} | SINGLES)
    passes = 16 * 16 * 10 // most
    for _ in range(passes):
        crowd.run_pass(most)
    if most < 31:
        # Ten rounds of sixteen targets each, give or take the job that is under way.
        assert crowd.served["big"] == pytest.approx(160, abs=16)
        assert all(crowd.served[single] == pytest.approx(160, abs=16) for single in SINGLES)
    else:
        # All jobs fit into one pass, so no session waits for another.
        assert set(crowd.frames.values()) == {passes}


def test_a_single_target_waits_for_no_more_than_one_frame_of_each_of_the_others() -> None:
    crowd, waits, longest = Crowd({"big": 16, "other": 16} | SINGLES), dict.fromkeys(SINGLES, 0), 0
    for _ in range(400):
        answered = crowd.run_pass(4)
        for single in SINGLES:
            waits[single] = 0 if single in answered else waits[single] + 1
            longest = max(longest, waits[single])
    # 16 + 16 targets of the large sessions and 14 of the others, four in a pass.
    assert longest <= (16 + 16 + 14) / 4 + 1


def test_like_sessions_are_answered_whole_and_in_turn() -> None:
    line = FairQueue()
    for session in "abcd":
        line.add(search(session, 4))
    assert [taken(line.take(6)) for _ in range(3)] == [
        [("a", 4), ("b", 2)],
        [("b", 2), ("c", 4)],
        [("d", 4)],
    ]


def test_a_flooding_session_has_a_turn_like_a_slow_camera() -> None:
    line = FairQueue()
    for _ in range(64):
        line.add(search("flood"))
    line.take(10)
    for camera in ("left", "right"):
        line.add(search(camera))
    # The flood had ten turns alone; so the others come before its next one.
    assert taken(line.take(4)) == [("left", 1), ("right", 1), ("flood", 1), ("flood", 1)]
    line.take(20)
    line.add(search("left"))
    assert ("left", 1) in taken(line.take(2))


def test_an_idle_session_saves_nothing_up() -> None:
    crowd = Crowd({"busy": 1, "other": 1})
    for _ in range(100):
        crowd.run_pass(1)
    crowd.targets["late"], crowd.served["late"], crowd.frames["late"] = 1, 0, 0
    before = dict(crowd.served)
    crowd.line.add(search("late"))
    for _ in range(30):
        crowd.run_pass(1)
    assert [crowd.served[each] - before.get(each, 0) for each in ("busy", "other", "late")] == [10, 10, 10]


def test_new_sessions_begin_beside_streams_and_do_not_hold_them_up() -> None:
    crowd = Crowd(SINGLES)
    crowd.run_pass(4)
    beginners = [embedding(targets=targets) for targets in (1, 1, 16)]
    for each in beginners:
        crowd.line.add(each)
    # Eleven frames were there before them; then small crops are due before large ones, and sixteen a little after one.
    for _ in range(4):
        crowd.run_pass(4)
    assert [each.left for each in beginners] == [0, 0, 16]
    before = dict(crowd.served)
    for _ in range(12):
        crowd.run_pass(4)
    assert beginners[2].left == 0
    assert min(crowd.served[single] - before[single] for single in SINGLES) >= 2


@pytest.mark.parametrize("answer", ["cancelled", "failed"])
def test_a_caller_that_has_gone_costs_nothing(answer: str) -> None:
    line = FairQueue()
    gone = [search("a", 16) for _ in range(8)]
    for each in gone:
        line.add(each)
    line.add(search("a"))
    line.add(search("b"))
    for each in gone:
        if answer == "cancelled":
            each.future.cancel()
        else:
            each.over = True
    # It is not first, but not later than its one target deserves.
    assert taken(line.take(1)) == [("b", 1)]
    assert taken(line.take(1)) == [("a", 1)]
    assert (len(line), line.targets, line.take(1)) == (0, 0, [])


def test_the_rest_of_a_failed_job_is_dropped() -> None:
    line, job = FairQueue(), search("a", 10)
    line.add(job)
    line.add(search("a"))
    assert taken(line.take(4)) == [("a", 4)]
    job.over = True
    assert taken(line.take(4)) == [("a", 1)]
    assert (len(line), line.targets) == (0, 0)


def test_a_session_s_jobs_keep_their_order() -> None:
    line = FairQueue()
    line.add(search("a", 8))
    line.add(embedding("a"))
    load = waiting(Load((Slot(0, 1),), np.zeros((1, 1, 1, 1), np.float16), "a"))
    line.add(load)
    parts = line.take(6) + line.take(6)
    assert [(type(part.job), part.start, part.stop) for part in parts] == [
        (Respond, 0, 6),
        (Respond, 6, 8),
        (Embed, 0, 1),
        (Load, 0, 1),
    ]


def test_parts_are_their_targets() -> None:
    searches = tuple(search_of(np.full((1, 1, 1, 3), index, np.uint8)) for index in range(5))
    line, job = FairQueue(), waiting(Respond(tuple(Slot(index, 7) for index in range(5)), searches, "a"))
    line.add(job)
    parts = line.take(3) + line.take(3)
    assert [(part.whole, part.last) for part in parts] == [(False, False), (False, True)]
    jobs = [part.job for part in parts]
    assert [slot.index for each in jobs for slot in each.slots] == [0, 1, 2, 3, 4]
    searched = [each.searches for each in jobs if isinstance(each, Respond)]
    assert searched == [searches[:3], searches[3:]]


def test_a_job_without_targets_takes_none_of_the_pass() -> None:
    line = FairQueue()
    line.add(search("a"))
    line.add(search("b", 0))
    assert taken(line.take(1)) == [("b", 0), ("a", 1)]


def test_clearing_it_returns_the_queued_jobs() -> None:
    line = FairQueue()
    jobs = [search("a", 4), search("a"), search("b")]
    for each in jobs:
        line.add(each)
    line.take(2)
    assert set(line.clear()) >= {jobs[0], jobs[1]}
    assert (len(line), line.targets, line.take(4)) == (0, 0, [])


@given(sizes=st.lists(st.lists(st.integers(1, 16), min_size=1), min_size=2, max_size=5), most=st.integers(1, 40))
def test_busy_sessions_get_equal_shares(sizes: list[list[int]], most: int) -> None:
    line, served = FairQueue(), [0] * len(sizes)
    queued = [0] * len(sizes)

    def refill(index: int) -> None:
        # At least a whole pass of every session, so that none ever waits for its own answer.
        while queued[index] < most + 16:
            size = sizes[index][served[index] % len(sizes[index])]
            line.add(search(str(index), size))
            queued[index] += size

    for _ in range(30):
        for index in range(len(sizes)):
            refill(index)
        parts = line.take(most)
        assert sum(part.stop - part.start for part in parts) == most
        for part in parts:
            index, count = int(part.queued.job.session), part.stop - part.start
            served[index] += count
            queued[index] -= count
        assert max(served) - min(served) <= 16 + 16


@given(
    arrivals=st.lists(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 16)), max_size=4), max_size=30),
    most=st.integers(1, 8),
)
def test_everything_is_taken_once_in_its_session_s_order(arrivals: list[list[tuple[str, int]]], most: int) -> None:
    line = FairQueue()
    wanted: dict[str, list[QueuedJob]] = {session: [] for session in "abcde"}
    had: dict[str, list[QueuedJob]] = {session: [] for session in "abcde"}
    rounds = list(arrivals)
    while rounds or len(line):
        for session, size in rounds.pop(0) if rounds else []:
            wanted[session].append(search(session, size))
            line.add(wanted[session][-1])
        parts = line.take(most)
        assert sum(part.stop - part.start for part in parts) <= most
        assert parts or not len(line)
        for part in parts:
            if part.last:
                had[part.queued.job.session].append(part.queued)
    assert had == wanted
    assert line.targets == 0
