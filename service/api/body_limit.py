"""Limits on a request's body, enforced before a route reads it. Plain ASGI middleware."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.body_budget import BodyBudget, HeldBody
from service.api.problems import send_problem
from service.errors import PayloadTooLarge

_MAX_DIGITS = 18
"""A Content-Length with more digits is refused without parsing it."""


class BodyLimit:
    """Refuses a body of more than `limit` bytes with 413: by its Content-Length, or while it arrives.

    One that takes longer than `deadline_s` seconds is refused with 408. Beyond the budget of all bodies, one is refused
    with 503.
    """

    def __init__(self, app: ASGIApp, limit: int, *, budget: BodyBudget | None = None, deadline_s: float = 60.0) -> None:
        """`budget`: None is one of 256 MiB."""
        self._app, self._limit, self._deadline_s = app, limit, deadline_s
        self._budget = budget if budget is not None else BodyBudget(2**28)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and (len(length) > _MAX_DIGITS or int(length) > self._limit):
            error = PayloadTooLarge(f"a request's body may have at most {self._limit} bytes")
            await send_problem(error, send, {"connection": "close"})
            return
        body = HeldBody(receive, self._budget, self._limit, self._deadline_s)
        try:
            await self._app(scope, body.receive, send)
        finally:
            self._budget.release(body)
