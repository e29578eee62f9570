"""Results on their way from a thread to the event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from service.engine.settling import post, settle, settle_all

pytestmark = pytest.mark.anyio


async def test_results_and_errors_arrive_from_another_thread() -> None:
    loop = asyncio.get_running_loop()
    good, bad = loop.create_future(), loop.create_future()
    error = ZeroDivisionError()
    thread = threading.Thread(target=post, args=(loop, settle_all, [(good, 1, None), (bad, None, error)]))
    thread.start()
    assert await asyncio.gather(good, bad, return_exceptions=True) == [1, error]
    thread.join()


async def test_a_future_that_is_done_stays_as_it_is() -> None:
    future = asyncio.get_running_loop().create_future()
    settle(future, 1, None)
    settle(future, 2, None)
    settle(future, None, ZeroDivisionError())
    assert await future == 1


def test_a_closed_loop_is_no_error() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    post(loop, settle_all, [])
