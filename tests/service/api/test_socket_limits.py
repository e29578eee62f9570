"""Limits on a socket's messages, for ASGI servers that read ahead without end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.socket_limits import SocketLimits
from tests.support.asgi_socket import AsgiSocket, connect
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio

MESSAGE, UNREAD = 10, 25


class Reader:
    """An application that takes a message for each `take`, and remembers them."""

    def __init__(self) -> None:
        self.seen: list[Message] = []
        self.send_failed = False
        self._permits = asyncio.Semaphore(0)

    def take(self, count: int = 1) -> None:
        for _ in range(count):
            self._permits.release()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while not self.seen or self.seen[-1]["type"] != "websocket.disconnect":
            await self._permits.acquire()
            self.seen.append(await receive())
        try:
            await send({"type": "websocket.send", "text": "{}"})
        except OSError:
            self.send_failed = True


def limited(app: ASGIApp) -> SocketLimits:
    return SocketLimits(app, message_bytes=MESSAGE, unread_bytes=UNREAD)


def sizes(reader: Reader) -> list[int]:
    return [len(message.get("bytes") or message.get("text") or "") for message in reader.seen]


@pytest.mark.parametrize(
    "send",
    [
        pytest.param(lambda socket, size: socket.send_frame(b"x" * size), id="frame"),
        pytest.param(lambda socket, size: socket.send_text("x" * size), id="text"),
    ],
)
async def test_a_message_over_the_limit_closes_with_1009(send: Callable[[AsgiSocket, int], None]) -> None:
    reader = Reader()
    async with connect(limited(reader), "/") as socket:
        send(socket, MESSAGE)
        send(socket, MESSAGE + 1)
        assert await socket.closed() == (1009, f"a frame may have at most {MESSAGE} bytes")
        reader.take(2)
        await eventually(lambda: reader.send_failed)
        # The application gets the messages within the limit, and none of the others.
        assert sizes(reader) == [MESSAGE, 0]
        assert reader.seen[-1] == {"type": "websocket.disconnect", "code": 1009}


async def test_a_client_too_far_ahead_is_closed_with_1013() -> None:
    reader = Reader()
    async with connect(limited(reader), "/") as socket:
        for _ in range(3):
            socket.send_frame(b"x" * MESSAGE)
        code, reason = await socket.closed()
        assert (code, reason) == (1013, "too many frames are not answered yet")
        reader.take(3)
        await eventually(lambda: reader.send_failed)
        assert sizes(reader) == [MESSAGE, MESSAGE, 0]


async def test_messages_that_the_application_has_taken_do_not_count() -> None:
    reader = Reader()
    async with connect(limited(reader), "/") as socket:
        for k in range(10):
            socket.send_frame(b"x" * MESSAGE)
            reader.take()
            await eventually(lambda k=k: len(reader.seen) == k + 1)
        assert socket.received == 11
        reader.take()
    assert sizes(reader) == [MESSAGE] * 10 + [0]
    assert reader.seen[-1]["code"] == 1006


async def test_a_server_that_raises_for_a_lost_connection_ends_the_application() -> None:
    reader = Reader()
    reader.take()
    incoming = iter([{"type": "websocket.connect"}])

    async def receive() -> Message:
        for message in incoming:
            return message
        raise ConnectionError("the proxy is gone")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(20):
        await limited(reader)({"type": "websocket"}, receive, send)
    assert reader.seen == [{"type": "websocket.disconnect", "code": 1006}]


async def test_reading_ends_with_the_application() -> None:
    read = 0

    async def receive() -> Message:
        nonlocal read
        read += 1
        if read > 1:
            await asyncio.Event().wait()
        return {"type": "websocket.connect"}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise ZeroDivisionError

    before = asyncio.all_tasks()
    with pytest.raises(ZeroDivisionError):
        await limited(app)({"type": "websocket"}, receive, lambda message: asyncio.sleep(0))
    assert asyncio.all_tasks() == before


async def test_requests_are_left_alone() -> None:
    calls: list[tuple[Scope, Receive, Send]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append((scope, receive, send))

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    scope: Scope = {"type": "http"}
    await limited(app)(scope, receive, send)
    assert calls == [(scope, receive, send)]
