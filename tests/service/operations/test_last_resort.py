"""The deadline for the end of the process."""

from __future__ import annotations

import queue

from service.operations.last_resort import LastResort

DEADLINE_S = 20.0


def test_once_armed_it_ends_the_process_with_a_failure() -> None:
    ended: queue.Queue[int] = queue.Queue()
    resort = LastResort(0.01, ended.put)
    resort.arm()
    resort.arm()
    assert ended.get(timeout=DEADLINE_S) == 1
    assert ended.empty()


def test_before_that_it_does_nothing() -> None:
    ended: queue.Queue[int] = queue.Queue()
    LastResort(0.0, ended.put)
    assert ended.empty()
