"""A call that does not return is noticed; calls that go on are not."""

from __future__ import annotations

import asyncio
import threading

import pytest

from service.engine.calls import Calls, stack_of

pytestmark = pytest.mark.anyio

LIMIT_S = 0.05
DEADLINE_S = 20.0


async def test_a_call_that_does_not_return_is_overdue() -> None:
    calls = Calls()
    with calls.calling():
        async with asyncio.timeout(DEADLINE_S):
            await calls.overdue(LIMIT_S)


async def test_calls_that_return_are_never_overdue() -> None:
    calls = Calls()
    watching = asyncio.create_task(calls.overdue(LIMIT_S))
    for _ in range(40):
        with calls.calling():
            assert calls.under_way is not None
            await asyncio.sleep(LIMIT_S / 10)
    assert calls.under_way is None
    assert not watching.done()
    watching.cancel()


async def test_a_call_that_raises_is_over() -> None:
    calls = Calls()
    with pytest.raises(ZeroDivisionError), calls.calling():
        raise ZeroDivisionError
    assert calls.under_way is None


def test_the_stack_of_a_thread() -> None:
    begun, end = threading.Event(), threading.Event()

    def wait_here() -> None:
        begun.set()
        end.wait(DEADLINE_S)

    thread = threading.Thread(target=wait_here)
    assert stack_of(thread) == ""
    thread.start()
    begun.wait(DEADLINE_S)
    assert "wait_here" in stack_of(thread)
    end.set()
    thread.join()
    assert stack_of(thread) == ""
