"""The drain waits for every stream that entered, and for no other."""

from __future__ import annotations

import asyncio

import pytest

from service.api.components import Drain
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio


async def test_nothing_to_wait_for() -> None:
    drain = Drain()
    assert not drain.begun
    assert await drain.finish(1)
    assert drain.begun


async def test_streams_are_woken_and_waited_for() -> None:
    drain = Drain()
    wakers = [asyncio.Event(), asyncio.Event()]
    for waker in wakers:
        drain.enter(waker)
    finishing = asyncio.create_task(drain.finish(30))
    await asyncio.gather(*(waker.wait() for waker in wakers))
    drain.leave(wakers[0])
    await asyncio.sleep(0)
    assert not finishing.done()
    drain.leave(wakers[1])
    assert await finishing


async def test_a_stream_that_enters_late_is_woken_at_once_and_waited_for() -> None:
    drain = Drain()
    first, late = asyncio.Event(), asyncio.Event()
    drain.enter(first)
    finishing = asyncio.create_task(drain.finish(30))
    await eventually(lambda: drain.begun)
    drain.enter(late)
    assert late.is_set()
    drain.leave(first)
    await asyncio.sleep(0)
    assert not finishing.done()
    drain.leave(late)
    assert await finishing


async def test_a_stream_that_does_not_close_in_time_is_reported() -> None:
    drain = Drain()
    drain.enter(asyncio.Event())
    assert not await drain.finish(0.01)


async def test_leaving_twice_and_finishing_twice_are_harmless() -> None:
    drain, waker = Drain(), asyncio.Event()
    drain.enter(waker)
    drain.leave(waker)
    drain.leave(waker)
    assert await drain.finish(1)
    assert await drain.finish(1)
