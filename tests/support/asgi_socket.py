"""A WebSocket client without a network: drives the application's ASGI websocket scope by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp, Message, Scope

_DEADLINE_S = 20.0

Json = dict[str, Any]


class AsgiSocket:
    """One connection. What the server does with it comes out by `receive` and `closed`, in order."""

    def __init__(self) -> None:
        self._to_server: asyncio.Queue[Message] = asyncio.Queue()
        self._from_server: asyncio.Queue[Message] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._writable.set()
        self._dropped = False
        self.blocked = asyncio.Event()
        """Set once the server waits in a send, between `block` and `unblock`."""
        self.subprotocol: str | None = None
        self.received = 0
        """Messages that the server has read."""

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """The server's side, until it returns."""
        await app(scope, self._server_receives, self._server_sends)

    async def accepted(self) -> None:
        """Until the server has accepted the handshake."""
        message = await self._next()
        assert message["type"] == "websocket.accept", message
        self.subprotocol = message.get("subprotocol")

    def send_frame(self, data: bytes) -> None:
        """A binary message."""
        self._to_server.put_nowait({"type": "websocket.receive", "bytes": data})

    def send_text(self, text: str) -> None:
        """A text message."""
        self._to_server.put_nowait({"type": "websocket.receive", "text": text})

    def say(self, kind: str, **fields: Any) -> None:
        """A text message of the protocol."""
        self.send_text(json.dumps({"type": kind, **fields}))

    def drop(self) -> None:
        """The connection is cut: the server's sends fail from now on."""
        self._dropped = True
        self._to_server.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def block(self) -> None:
        """The client reads no more: the server's sends wait."""
        self._writable.clear()
        self.blocked.clear()

    def unblock_one(self) -> None:
        """Let what waits now through, and block what comes after."""
        self._writable.set()
        self._writable.clear()

    def unblock(self) -> None:
        """The client reads again."""
        self._writable.set()

    async def receive(self) -> Json:
        """The next text message."""
        message = await self._next()
        assert message["type"] == "websocket.send", message
        text: Json = json.loads(message["text"])
        return text

    async def closed(self) -> tuple[int, str]:
        """The close frame, which must be what comes next: its code and reason."""
        message = await self._next()
        assert message["type"] == "websocket.close", message
        return message.get("code", 1000), message.get("reason") or ""

    async def _next(self) -> Message:
        async with asyncio.timeout(_DEADLINE_S):
            return await self._from_server.get()

    async def _server_receives(self) -> Message:
        message = await self._to_server.get()
        self.received += 1
        return message

    async def _server_sends(self, message: Message) -> None:
        if not self._writable.is_set():
            self.blocked.set()
        await self._writable.wait()
        if self._dropped:
            raise OSError("the connection is gone")
        self._from_server.put_nowait(message)


@asynccontextmanager
async def connect(
    app: ASGIApp,
    path: str,
    query: str = "",
    *,
    subprotocols: Sequence[str] = ("siamfc.v1",),
    headers: Sequence[tuple[str, str]] = (),
) -> AsyncIterator[AsgiSocket]:
    """A connection whose handshake has been accepted; cut at the block's end. Its server side must end by itself."""
    socket = AsgiSocket()
    scope: Scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "client": ("192.0.2.1", 50000),
        "server": ("test", 80),
        "subprotocols": list(subprotocols),
        "state": {},
    }
    socket._to_server.put_nowait({"type": "websocket.connect"})
    task = asyncio.create_task(socket.run(app, scope))
    try:
        await socket.accepted()
        yield socket
    finally:
        socket.drop()
        socket.unblock()
        async with asyncio.timeout(_DEADLINE_S):
            await task
