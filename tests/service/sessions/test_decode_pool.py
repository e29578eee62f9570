"""Whose turn it is in the decode pool, and that nothing waits for a thread that does not end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from service.errors import ShuttingDown
from service.sessions.decode_pool import DecodePool
from tests.support.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


class Gate:
    """Calls that note who has begun, and end when they are let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._open = threading.Event()
        self._changed = threading.Condition()

    def pass_through(self, name: str) -> str:
        with self._changed:
            self.begun.append(name)
            self._changed.notify_all()
        assert self._open.wait(DEADLINE_S)
        return name

    async def wait_for(self, count: int) -> None:
        def enough() -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: len(self.begun) >= count, DEADLINE_S)

        assert await asyncio.to_thread(enough)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open()


async def test_calls_return_and_raise() -> None:
    with DecodePool(2) as pool:
        assert await pool.run("me", int, "12") == 12
        with pytest.raises(ValueError, match="invalid literal"):
            await pool.run("me", int, "x")
        assert await pool.run("me", int, "13") == 13


async def test_one_caller_leaves_a_thread_to_the_others(gate: Gate) -> None:
    with DecodePool(3) as pool:
        greedy = [asyncio.create_task(pool.run("greedy", gate.pass_through, f"greedy {k}")) for k in range(4)]
        await gate.wait_for(2)
        assert await pool.run("other", int, "5") == 5
        assert gate.begun == ["greedy 0", "greedy 1"]
        gate.open()
        assert await asyncio.gather(*greedy) == [f"greedy {k}" for k in range(4)]


async def test_those_who_wait_have_their_turns_one_after_the_other(gate: Gate) -> None:
    other = Gate()
    with DecodePool(2) as pool:
        first = [
            asyncio.create_task(pool.run(name, held.pass_through, name)) for name, held in (("x", gate), ("y", other))
        ]
        await gate.wait_for(1)
        await other.wait_for(1)
        order: list[str] = []
        later = [
            asyncio.create_task(pool.run(name[0], order.append, name)) for name in ("a0", "a1", "a2", "b0", "b1", "c0")
        ]
        # So that all of them wait before one may begin, in the one thread that is let go.
        await asyncio.wait(later, timeout=0)
        assert not order
        gate.open()
        await asyncio.gather(*later)
        other.open()
        await asyncio.gather(*first)
    assert order == ["a0", "b0", "c0", "a1", "b1", "a2"]


async def test_a_job_that_is_cancelled_before_its_turn_never_runs(gate: Gate) -> None:
    with DecodePool(2) as pool:
        running = asyncio.create_task(pool.run("me", gate.pass_through, "running"))
        await gate.wait_for(1)
        waiting = [asyncio.create_task(pool.run("me", gate.pass_through, name)) for name in ("cancelled", "later")]
        await asyncio.wait(waiting, timeout=0)
        waiting[0].cancel()
        gate.open()
        assert await running == "running"
        assert await waiting[1] == "later"
        assert waiting[0].cancelled()
    assert gate.begun == ["running", "later"]


async def test_a_job_that_is_cancelled_while_it_runs_keeps_its_share(gate: Gate) -> None:
    with DecodePool(2) as pool:
        running = asyncio.create_task(pool.run("me", gate.pass_through, "running"))
        await gate.wait_for(1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        next_one = asyncio.create_task(pool.run("me", gate.pass_through, "next"))
        assert await pool.run("other", int, "5") == 5
        assert gate.begun == ["running"]
        gate.open()
        assert await next_one == "next"


async def test_closing_fails_what_is_awaited_and_waits_for_nobody(gate: Gate) -> None:
    pool = DecodePool(2)
    running, waiting = (asyncio.create_task(pool.run("me", gate.pass_through, name)) for name in ("running", "waiting"))
    await gate.wait_for(1)
    pool.close()
    pool.close()
    for answer in (running, waiting, pool.run("me", gate.pass_through, "late")):
        with pytest.raises(ShuttingDown):
            await answer
    assert gate.begun == ["running"]


async def test_its_threads_end_when_it_is_closed() -> None:
    before = set(threading.enumerate())
    with DecodePool(2) as pool:
        threads = set(threading.enumerate()) - before
        assert len(threads) == 2
        await pool.run("me", int)
    for thread in threads:
        await asyncio.to_thread(thread.join, DEADLINE_S)
        assert not thread.is_alive()


def test_it_has_two_threads_at_least() -> None:
    with pytest.raises(ValueError, match="two threads, not 1"):
        DecodePool(1)


def test_a_process_ends_though_a_call_does_not() -> None:
    program = """
import asyncio, contextlib, threading
from service.errors import ShuttingDown
from service.sessions.decode_pool import DecodePool

async def main():
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    def endless():
        loop.call_soon_threadsafe(begun.set)
        threading.Event().wait()
    with DecodePool(2) as pool:
        task = asyncio.create_task(pool.run("me", endless))
        await begun.wait()
    with contextlib.suppress(ShuttingDown):
        await task

asyncio.run(main())
print("over")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=DEADLINE_S, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "over\n", "")
