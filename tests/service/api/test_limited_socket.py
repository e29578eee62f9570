"""The limit on small frames, on a real socket of uvicorn's with the smallest application behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from service.api import limited_socket as limited
from service.api.limited_socket import LimitedSocket, limited_socket
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio

RATE = 200.0
DEADLINE_S = 20.0
MOST_UNPARSED = 2 * 256 * 1024
"""Bytes: what two reads of the transport may bring."""
MOST_UNSENT = 128 * 1024
"""Bytes: the mark above which the transport asks for a pause, and the pongs of a few frames."""


@dataclass
class Application:
    """Takes messages while it may, and keeps what it was sent."""

    took: list[Message] = field(default_factory=list)
    may_take: asyncio.Event = field(default_factory=asyncio.Event)
    server: uvicorn.Server | None = None

    def connections(self) -> list[LimitedSocket]:
        """The open sockets."""
        assert self.server is not None
        return [each for each in self.server.server_state.connections if isinstance(each, LimitedSocket)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await self.may_take.wait()
            message = await receive()
            self.took.append(message)
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") == "close":
                await send({"type": "websocket.close", "code": 4000})


@asynccontextmanager
async def serving(rate: float = RATE) -> AsyncIterator[tuple[Application, str]]:
    application = Application()
    application.may_take.set()
    config = uvicorn.Config(application, port=0, lifespan="off", log_config=None, ws=limited_socket(rate))
    config.timeout_graceful_shutdown = 1
    server = application.server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    try:
        yield application, f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def client(address: str) -> connect:
    return connect(f"ws://{address}/", proxy=None, ping_interval=None, max_size=None, compression=None)


async def write(connection: ClientConnection, *frames: Frame) -> None:
    """Send frames as they are, legal or not."""
    connection.transport.write(b"".join(frame.serialize(mask=True) for frame in frames))


async def test_texts_come_no_faster_than_the_rate_and_none_is_lost() -> None:
    async with serving() as (application, address), client(address) as connection:
        begun = time.monotonic()
        await write(connection, *[Frame(Opcode.TEXT, b"%d" % k) for k in range(300)])
        while len(application.took) < 300:
            most = RATE + RATE * (time.monotonic() - begun) + 1
            assert len(application.took) <= most
            await asyncio.sleep(0)
        assert time.monotonic() - begun >= 100 / RATE - 0.05
        assert [message["text"] for message in application.took] == [str(k) for k in range(300)]


async def test_whole_binary_messages_do_not_count() -> None:
    async with serving(1.0) as (application, address), client(address) as connection:
        begun = time.monotonic()
        for size in (0, 10, 100_000) * 20:
            await connection.send(bytes(size))
        await eventually(lambda: len(application.took) == 60)
        assert [len(message["bytes"]) for message in application.took] == [0, 10, 100_000] * 20
        assert time.monotonic() - begun < DEADLINE_S


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(Frame(Opcode.PING, b"x"), id="pings"),
        pytest.param(Frame(Opcode.PONG, b"x"), id="pongs"),
        pytest.param(Frame(Opcode.CONT, b"", fin=False), id="pieces"),
    ],
)
async def test_control_frames_and_pieces_wait_too(frame: Frame) -> None:
    async with serving() as (application, address), client(address) as connection:
        begun = time.monotonic()
        if frame.opcode is Opcode.CONT:
            await write(connection, Frame(Opcode.BINARY, b"", fin=False), *[frame] * 300, Frame(Opcode.CONT, b""))
        else:
            await write(connection, *[frame] * 300, Frame(Opcode.BINARY, b""))
        await eventually(lambda: application.took)
        assert time.monotonic() - begun >= 100 / RATE - 0.05
        assert application.took[0]["bytes"] == b""


async def test_what_the_application_does_not_take_is_not_parsed() -> None:
    async with serving(1e6) as (application, address), client(address) as connection:
        application.may_take.clear()
        await write(connection, *[Frame(Opcode.BINARY, b"x")] * 50_000)
        (protocol,) = application.connections()
        await eventually(lambda: protocol._unparsed)
        for _ in range(50):
            await asyncio.sleep(0)
            assert protocol.queue.qsize() <= 8
            assert len(protocol._unparsed) <= MOST_UNPARSED
        application.may_take.set()
        await eventually(lambda: len(application.took) == 50_000)


async def test_a_message_has_so_many_pieces_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "_MAX_PIECES", 10)
    async with serving() as (application, address), client(address) as connection:
        piece = Frame(Opcode.CONT, b"", fin=False)
        await write(connection, Frame(Opcode.BINARY, b"", fin=False), *[piece] * 20)
        with pytest.raises(ConnectionClosed) as caught:
            await connection.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1008, "a message has too many pieces")
        await eventually(lambda: application.took)
        assert application.took[-1]["type"] == "websocket.disconnect"


async def test_pongs_wait_for_a_client_that_does_not_read() -> None:
    async with serving(1e6) as (application, address), client(address) as connection:
        (protocol,) = application.connections()
        connection.transport.pause_reading()
        await write(connection, *[Frame(Opcode.PING, b"x" * 125)] * 70_000)
        await eventually(lambda: not protocol.writable.is_set())
        for _ in range(50):
            await asyncio.sleep(0)
            assert protocol.transport.get_write_buffer_size() <= MOST_UNSENT
        connection.transport.resume_reading()
        await connection.send("y")
        await eventually(lambda: application.took)


async def test_both_sides_can_close_while_frames_wait() -> None:
    ways: list[Callable[[ClientConnection], object]] = [lambda each: each.close(), lambda each: each.send("close")]
    for way in ways:
        async with serving(20.0) as (application, address), client(address) as connection:
            await write(connection, *[Frame(Opcode.TEXT, b"x")] * 5)
            await way(connection)  # type: ignore[misc]
            with pytest.raises(ConnectionClosed):
                await connection.recv()
            await eventually(lambda: application.took[-1]["type"] == "websocket.disconnect")
