"""Limits on a socket's messages, for ASGI servers that have none and read ahead without end. Plain ASGI middleware."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from siamfc.contract import CloseCode


class SocketLimits:
    """Closes a socket with 1009 for a message of more than `message_bytes`, and with 1013 when more than `unread_bytes`
    have arrived that the application has not taken.

    Under uvicorn neither is needed: it has the first limit itself, and stops reading, so that TCP slows the client.
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
    """One socket's messages: reads them as they arrive, and counts the bytes that the application has not taken."""

    def __init__(self, receive: Receive, send: Send, message_bytes: int, unread_bytes: int) -> None:
        self._receive, self._send = receive, send
        self._message_bytes, self._unread_bytes = message_bytes, unread_bytes
        self._unread = 0
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._refused = False

    async def read(self) -> None:
        """Read until the connection ends or exceeds a limit."""
        while True:
            try:
                message = await self._receive()
            except Exception:
                # The server raises for a lost connection; the application expects a message.
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
        """Send the application's message; raises OSError after the socket was closed here."""
        if self._refused:
            raise OSError("the socket was closed because the client exceeded a limit")
        await self._send(message)

    async def _refuse(self, code: int, reason: str) -> Message:
        self._refused = True
        await self._send({"type": "websocket.close", "code": code, "reason": reason})
        return {"type": "websocket.disconnect", "code": code}


def _size(message: Message) -> int:
    return len(message.get("bytes") or b"") + len(message.get("text") or "")
