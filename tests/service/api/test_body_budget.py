"""Bodies share one budget of bytes, have a deadline, and the slowest gives way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message

from service.api import body_budget
from service.api.body_budget import BodyBudget, HeldBody
from service.errors import AtCapacity, PayloadTooLarge, RequestTimeout, ShuttingDown
from tests.service.conftest import Running, RunService

pytestmark = pytest.mark.anyio


class Sender:
    """A client's side of one body."""

    def __init__(self, budget: BodyBudget, limit: int = 100, deadline_s: float = 30.0) -> None:
        self._chunks: asyncio.Queue[Message] = asyncio.Queue()
        self.body = HeldBody(self._chunks.get, budget, limit, deadline_s)

    def send(self, count: int, *, last: bool = False) -> None:
        """Send that many bytes."""
        self._chunks.put_nowait({"type": "http.request", "body": bytes(count), "more_body": not last})

    async def deliver(self, count: int, *, last: bool = False) -> None:
        """Send that many bytes, and let the application read them."""
        self.send(count, last=last)
        await self.body.receive()


async def test_bytes_count_until_they_are_released() -> None:
    budget = BodyBudget(100)
    one, other = Sender(budget), Sender(budget)
    await one.deliver(30)
    await one.deliver(20, last=True)
    await other.deliver(10)
    assert budget.held == 60
    budget.release(one.body)
    assert budget.held == 10
    budget.release(one.body)
    budget.release(other.body)
    assert budget.held == 0


async def test_the_body_that_has_been_arriving_the_longest_gives_way() -> None:
    budget = BodyBudget(100)
    slow, slower, quick = Sender(budget), Sender(budget), Sender(budget)
    await slower.deliver(40)
    await slow.deliver(40)
    waiting = asyncio.create_task(slower.body.receive())
    await asyncio.sleep(0)
    await quick.deliver(60)
    with pytest.raises(AtCapacity) as refused:
        await waiting
    assert refused.value.retry_after_s == 1
    assert budget.held == 100
    # The other one had room, and goes on.
    budget.release(quick.body)
    await slow.deliver(10, last=True)


async def test_a_body_that_gave_way_while_it_was_not_read_is_refused_when_it_is() -> None:
    budget = BodyBudget(100)
    slow, quick = Sender(budget), Sender(budget)
    await slow.deliver(60)
    await quick.deliver(60)
    slow.send(1)
    with pytest.raises(AtCapacity):
        await slow.body.receive()


async def test_whole_bodies_never_give_way() -> None:
    budget = BodyBudget(100)
    whole, late = Sender(budget), Sender(budget)
    await whole.deliver(60, last=True)
    with pytest.raises(AtCapacity):
        await late.deliver(60)


async def test_a_body_has_a_deadline() -> None:
    sender = Sender(BodyBudget(100), deadline_s=0.05)
    await sender.deliver(10)
    with pytest.raises(RequestTimeout, match=r"0\.05 s"):
        await sender.body.receive()


async def test_after_its_end_a_body_has_no_deadline() -> None:
    sender = Sender(BodyBudget(100), deadline_s=0.05)
    await sender.deliver(10, last=True)
    reading = asyncio.create_task(sender.body.receive())
    done, _ = await asyncio.wait({reading}, timeout=0.2)
    assert not done, "a listener for the client's end must not be told of a deadline"
    reading.cancel()


async def test_a_server_that_shuts_down_waits_a_second_for_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_budget, "LAST_S", 0.05)
    budget = BodyBudget(100)
    early, late, idle = Sender(budget), Sender(budget), Sender(budget)
    await early.deliver(10)
    waiting = asyncio.create_task(early.body.receive())
    await asyncio.sleep(0)
    budget.close()
    for reading in (waiting, late.body.receive()):
        with pytest.raises(ShuttingDown):
            await reading
    idle.send(5, last=True)
    await idle.body.receive()
    budget.open()
    await Sender(budget).deliver(10)


async def test_draining_does_not_wait_for_bodies_without_end(
    run_service: RunService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_budget, "LAST_S", 0.05)
    async with run_service() as service:
        begun = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            yield b"{"
            begun.set()
            await asyncio.Event().wait()

        posting = asyncio.create_task(
            service.client.post("/v1/sessions", content=endless(), headers={"Content-Type": "application/json"})
        )
        await begun.wait()
        assert await service.components.drain.finish(20)
        answer = await posting
        assert (answer.status_code, answer.json()["type"]) == (503, "about:blank#shutting-down")


async def test_a_body_over_its_own_limit_is_refused() -> None:
    with pytest.raises(PayloadTooLarge):
        await Sender(BodyBudget(1000)).deliver(101)


async def test_a_body_without_end_is_a_problem_and_counts(run_service: RunService) -> None:
    async with run_service(body_s=0.05) as service:
        session = await service.create()

        async def endless(begin: bytes) -> AsyncIterator[bytes]:
            yield begin
            await asyncio.Event().wait()

        answers = [
            await service.client.post(path, content=endless(begin), headers={"Content-Type": media})
            for path, media, begin in [
                ("/v1/sessions", "application/json", b"{"),
                ("/v1/sessions", "multipart/form-data; boundary=b", b"--b\r\n"),
                (f"/v1/sessions/{session['session_id']}/frames", "image/png", b"\x89PNG"),
            ]
        ]
        for answer in answers:
            assert answer.status_code == 408, answer.text
            assert answer.json()["type"] == "about:blank#request-timeout"
            assert answer.headers["connection"] == "close"
        assert b'siamfc_refusals_total{problem="request-timeout"} 3.0' in service.components.metrics.render()


async def test_a_client_that_goes_away_within_its_body_is_no_fault(
    service: Running, caplog: pytest.LogCaptureFixture
) -> None:
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        pass

    headers = [(b"content-type", b"application/json"), (b"host", b"test")]
    scope = {"type": "http", "method": "POST", "path": "/v1/sessions", "query_string": b"", "headers": headers}
    with caplog.at_level(logging.WARNING):
        await service.app({**scope, "http_version": "1.1", "scheme": "http", "server": ("test", 80)}, receive, send)
    assert not caplog.records
    assert b"internal-error" not in service.components.metrics.render()
