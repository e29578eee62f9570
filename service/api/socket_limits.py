"""Bounds on what a socket may send, for servers that set none and read ahead without end: pure ASGI."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from siamfc.contract import CloseCode


class SocketLimits:
    """Closes a socket with 1009 for a message of more than `message_bytes`, and with 1013 where the client is more
    than `unread_bytes` ahead of the application.

    The project's own server needs neither: it knows the first limit, and TCP holds back who is ahead.
    """

    def __init__(self, app: ASGIApp, message_bytes: int, unread_bytes: int) -> None:
        self._app, self._message_bytes, self._unread_bytes = app, message_bytes, unread_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        inbox = _Inbox(receive, send, self._message_bytes, self._unread_bytes)
        reading = asyncio.create_task(inbox.read())
        try:
            await self._app(scope, inbox.receive, inbox.send)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


class _Inbox:
    """One socket: reads as it comes, counts what the application has not taken."""

    def __init__(self, receive: Receive, send: Send, message_bytes: int, unread_bytes: int) -> None:
        self._receive, self._send = receive, send
        self._message_bytes, self._unread_bytes = message_bytes, unread_bytes
        self._unread = 0
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._refused = False

    async def read(self) -> None:
        """Until the connection ends or is closed for being over a limit."""
        while True:
            try:
                message = await self._receive()
            except Exception:
                # What the server raises for a connection that is lost; the application must hear of it.
                message = {"type": "websocket.disconnect", "code": 1006}
            size = _size(message)
            self._unread += size
            if size > self._message_bytes:
                message = await self._refuse(CloseCode.TOO_BIG, f"a frame may have at most {self._message_bytes} bytes")
            elif self._unread > self._unread_bytes:
                message = await self._refuse(CloseCode.TRY_LATER, "too many frames are not answered yet")
            self._messages.put_nowait(message)
            if message["type"] == "websocket.disconnect":
                return

    async def receive(self) -> Message:
        """The next message for the application."""
        message = await self._messages.get()
        self._unread -= _size(message)
        return message

    async def send(self, message: Message) -> None:
        """From the application; raises OSError once the socket has been closed here."""
        if self._refused:
            raise OSError("the socket was closed for what the client sent")
        await self._send(message)

    async def _refuse(self, code: int, reason: str) -> Message:
        self._refused = True
        await self._send({"type": "websocket.close", "code": code, "reason": reason})
        return {"type": "websocket.disconnect", "code": code}


def _size(message: Message) -> int:
    return len(message.get("bytes") or b"") + len(message.get("text") or "")
