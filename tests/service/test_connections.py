"""The server's door: heads, times and connections are bounded, and honest requests pass beside hostile ones."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from service import connections
from service.connections import FIELD_BYTES, HEAD_BYTES, HEAD_FIELDS, BoundedHttp, ConnectionLimits, Door

pytestmark = pytest.mark.anyio

ASK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
LATE_S = 20.0


@dataclass
class Service:
    """A uvicorn server with the door: its port, and the refusals that it has counted."""

    port: int = 0
    refusals: list[str] = field(default_factory=list)
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    held: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the length of a body; `/hold` waits first, `/early` reads none; a socket is accepted and closed."""
        if scope["type"] == "websocket":
            socket = WebSocket(scope, receive, send)
            await socket.accept()
            await socket.close()
            return
        request = Request(scope, receive)
        if request.url.path == "/hold":
            self.held.put_nowait(None)
            await self.holding.wait()
        body = b"" if request.url.path == "/early" else await request.body()
        await PlainTextResponse(f"{len(body)}")(scope, receive, send)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, data: bytes) -> bytes:
        """Send bytes on a new connection; returns all that comes back until the server ends it."""
        reader, writer = await self.connect()
        writer.write(data)
        async with asyncio.timeout(LATE_S):
            answer = await reader.read()
        writer.close()
        return answer

    async def honest(self) -> bool:
        """Whether a plain request is answered."""
        answer = await self.ask(ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return answer.startswith(b"HTTP/1.1 200")


Serve = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def serve() -> Serve:
    @asynccontextmanager
    async def running(most: int = 40, head_s: float = 30.0, body_s: float = 30.0) -> AsyncIterator[Service]:
        service = Service()
        door = Door(ConnectionLimits(most, head_s, body_s), service.refusals.append)
        config = uvicorn.Config(
            service.app,
            port=0,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            log_level="critical",
            http=partial(BoundedHttp, door=door),
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        service.port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield service
        finally:
            service.holding.set()
            await server.shutdown()

    return running


def problem_of(answer: bytes) -> tuple[int, str]:
    """The status and the problem's slug of a whole response."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    assert b"connection: close" in head.lower()
    return int(head.split()[1]), json.loads(body)["type"].partition("#")[2]


BIG = b"x" * FIELD_BYTES
HEADS = [
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * HEAD_FIELDS + b"\r\n", id="fields"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nA: " + BIG + b"\r\n\r\n", id="field"),
    pytest.param(b"GET /" + BIG + b" HTTP/1.1\r\nHost: a\r\n\r\n", id="target"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"A: " + BIG[:4000] + b"\r\n") * 9 + b"\r\n", id="bytes"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 20 * HEAD_BYTES, id="field-without-end"),
    pytest.param(b"GET /" + b"x" * 20 * HEAD_BYTES, id="target-without-end"),
    pytest.param(HANDSHAKE + b"A: " + BIG + b"\r\n\r\n", id="handshake"),
]


@pytest.mark.parametrize("head", HEADS)
async def test_a_head_that_is_too_large_is_refused(serve: Serve, head: bytes) -> None:
    async with serve() as service:
        assert problem_of(await service.ask(head)) == (431, "head-too-large")
        assert service.refusals == ["head-too-large"]
        assert await service.honest()


async def test_trailers_count_as_head_and_are_left_out(serve: Serve) -> None:
    begin = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    async with serve() as service:
        reader, writer = await service.connect()
        writer.write(begin + b"A: " + BIG[:4000] + b"\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()
        await service.ask(begin + (b"A: " + BIG[:4000] + b"\r\n") * 11)
        assert service.refusals == ["head-too-large"]


async def test_the_largest_head_passes(serve: Serve) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + b"A: b\r\n" * (HEAD_FIELDS - 2) + b"\r\n"
    async with serve() as service:
        assert (await service.ask(head)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", id="two-hosts"),
        pytest.param(b"nonsense\r\n\r\n", id="nonsense"),
        pytest.param(HANDSHAKE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="handshake-with-a-body"),
        pytest.param(HANDSHAKE.replace(b"Host: a", b"Host: a\r\nHost: b") + b"\r\n", id="handshake-with-two-hosts"),
    ],
)
async def test_what_is_no_request_is_refused_and_the_connection_ends(serve: Serve, data: bytes) -> None:
    async with serve() as service:
        assert problem_of(await service.ask(data)) == (400, "malformed-request")
        assert service.refusals == ["malformed-request"]


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nA", id="half-a-head"),
        pytest.param(b"\r\n\r\n", id="empty-lines"),
        pytest.param(HANDSHAKE, id="half-a-handshake"),
    ],
)
async def test_a_head_that_does_not_arrive_is_refused(serve: Serve, begin: bytes) -> None:
    async with serve(head_s=0.3) as service:
        assert problem_of(await service.ask(begin)) == (408, "request-timeout")


async def test_dripping_bytes_win_no_time(serve: Serve) -> None:
    async with serve(head_s=0.4) as service:
        reader, writer = await service.connect()
        writer.write(b"GET / HTTP/1.1\r\nA: ")
        answered = asyncio.create_task(reader.read())
        async with asyncio.timeout(LATE_S):
            while not answered.done():
                writer.write(b"x")
                await asyncio.wait({answered}, timeout=0.05)
        writer.close()
        assert problem_of(answered.result()) == (408, "request-timeout")


async def test_the_second_head_of_a_connection_has_its_own_time(serve: Serve) -> None:
    async with serve(head_s=0.4) as service:
        reader, writer = await service.connect()
        for _ in range(3):
            writer.write(ASK)
            assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET /")
        async with asyncio.timeout(LATE_S):
            assert problem_of(await reader.read()) == (408, "request-timeout")
        writer.close()


async def test_a_body_that_goes_on_after_its_response_ends(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_GRACE_S", 0.1)
    async with serve(body_s=0.3) as service:
        reader, writer = await service.connect()
        writer.write(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")
        ended = asyncio.create_task(reader.read())
        async with asyncio.timeout(LATE_S):
            while not ended.done():
                writer.write(b"x")
                await asyncio.wait({ended}, timeout=0.05)
        assert isinstance(ended.exception(), ConnectionResetError) or ended.result() == b""
        writer.close()


async def test_half_open_connections_give_way_to_whole_ones(serve: Serve) -> None:
    async with serve(most=40) as service:
        hostile = [await service.connect() for _ in range(30)]
        for _, writer in hostile:
            writer.write(HANDSHAKE)
        for _ in range(3):
            assert await service.honest()
        # A quarter of forty may be quiet.
        async with asyncio.timeout(LATE_S):
            for reader, _ in hostile[:20]:
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1)
        for _, writer in hostile:
            writer.close()


async def test_a_server_full_of_busy_connections_refuses_and_one_of_quiet_ones_does_not(serve: Serve) -> None:
    async with serve(most=4) as service:
        busy = []
        for _ in range(4):
            busy.append(await service.connect())
            busy[-1][1].write(ASK.replace(b"GET /", b"GET /hold"))
            await service.held.get()
        assert problem_of(await service.ask(ASK)) == (503, "at-capacity")
        service.holding.set()
        for reader, _ in busy:
            assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")
        # They are open, but quiet now.
        assert await service.honest()
        for _, writer in busy:
            writer.close()


async def test_too_many_requests_at_once_end_a_connection(serve: Serve) -> None:
    async with serve() as service:
        reader, writer = await service.connect()
        writer.write(ASK.replace(b"GET /", b"GET /hold") + ASK * 100)
        async with asyncio.timeout(LATE_S):
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        writer.close()
        assert service.refusals == ["malformed-request"]


async def test_a_few_requests_at_once_are_answered_in_order(serve: Serve) -> None:
    async with serve() as service:
        reader, writer = await service.connect()
        writer.write(
            b"".join(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % k + b"x" * k for k in range(9))
        )
        for k in range(9):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(1) == str(k).encode()
        writer.close()


def test_the_limit_on_open_files_is_raised_or_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: set_to.append(limits))
    for limits, wanted, allowed in [
        ((1024, 1024), 4096, 1024 - 128),
        ((1024, 524_288), 4096, 4096),
        ((524_288, 524_288), 4096, 4096),
        ((1024, resource.RLIM_INFINITY), 4096, 4096),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 4096, 4096),
        ((64, 64), 4096, 1),
    ]:
        monkeypatch.setattr(resource, "getrlimit", lambda kind, limits=limits: limits)
        assert connections.affordable_connections(wanted) == allowed, limits
    assert set_to == [(1024, 1024), (4224, 524_288), (4224, resource.RLIM_INFINITY), (64, 64)]
