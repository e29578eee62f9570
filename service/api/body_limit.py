"""A limit on the bytes of a request's body, enforced before a route reads it. Plain ASGI middleware."""

from __future__ import annotations

import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem
from service.errors import PayloadTooLarge
from siamfc.contract import PROBLEM_MEDIA_TYPE

_MAX_DIGITS = 18
"""A Content-Length with more digits is refused without parsing it."""


class BodyLimit:
    """Refuses a request body of more than `limit` bytes with 413: by its Content-Length, or while it arrives."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and (len(length) > _MAX_DIGITS or int(length) > self._limit):
            await self._refuse(send)
            return
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise PayloadTooLarge(self._detail)
            return message

        await self._app(scope, bounded, send)

    @property
    def _detail(self) -> str:
        return f"a request's body may have at most {self._limit} bytes"

    async def _refuse(self, send: Send) -> None:
        error = PayloadTooLarge(self._detail)
        body = json.dumps(problem(error)).encode()
        headers = [
            (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": error.kind.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
