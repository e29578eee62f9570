"""The bytes of request bodies that the process holds, and the time that a body may take to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Message, Receive

from service.errors import AtCapacity, PayloadTooLarge, RequestTimeout, ShuttingDown

LAST_S = 1.0
"""Seconds that a body still has when the server begins to shut down."""


class BodyBudget:
    """A bound on the bytes of all bodies that are held at once.

    When it is used up, the body that has been arriving the longest gives way: a sender who is slow on purpose loses to
    those whose bodies arrive at once.
    """

    def __init__(self, most: int) -> None:
        """`most`: bytes."""
        self.most, self.held = most, 0
        self._arriving: dict[HeldBody, None] = {}
        self._waiting: set[HeldBody] = set()
        self._closing = False

    def open(self) -> None:
        """Let bodies have all their time, as at the start."""
        self._closing = False

    def close(self) -> None:
        """Give bodies that still arrive `LAST_S`, and those that begin from now on no more."""
        self._closing = True
        for body in self._waiting:
            body.hurry()

    @contextmanager
    def waiting(self, body: HeldBody) -> Iterator[None]:
        """Note that the block waits for more of a body."""
        self._waiting.add(body)
        if self._closing:
            body.hurry()
        try:
            yield
        finally:
            self._waiting.discard(body)

    def grow(self, body: HeldBody, count: int) -> None:
        """Count `count` more bytes of a body. Raises AtCapacity if no other body can give way."""
        self._arriving[body] = None
        self.held += count
        body.held += count
        while self.held > self.most:
            oldest = next((each for each in self._arriving if each is not body), None)
            if oldest is None:
                raise AtCapacity("the server holds as many bytes of requests as it may", retry_after_s=1)
            self.release(oldest)
            oldest.give_way()

    def arrived(self, body: HeldBody) -> None:
        """Note that a body is complete: it gives way to none."""
        self._arriving.pop(body, None)

    def release(self, body: HeldBody) -> None:
        """Count a body's bytes no more."""
        self.arrived(body)
        self.held -= body.held
        body.held = 0


class HeldBody:
    """One request's body: bounded in bytes and time, and counted in the budget until its request is done."""

    def __init__(self, receive: Receive, budget: BodyBudget, limit: int, deadline_s: float) -> None:
        """`limit`: bytes; `deadline_s`: seconds from now in which all of it must have arrived."""
        self.held = 0
        self._receive, self._budget, self._limit, self._deadline_s = receive, budget, limit, deadline_s
        self._deadline = asyncio.get_running_loop().time() + deadline_s
        self._received = 0
        self._complete = self._displaced = self._hurried = False
        self._waiting: asyncio.Timeout | None = None

    async def receive(self) -> Message:
        """The next message.

        Raises PayloadTooLarge, RequestTimeout, AtCapacity (its bytes gave way), ShuttingDown.
        """
        if self._complete:
            return await self._receive()
        try:
            if self._displaced:
                raise TimeoutError
            async with asyncio.timeout_at(self._deadline) as self._waiting:
                with self._budget.waiting(self):
                    message = await self._receive()
        except TimeoutError:
            if self._displaced:
                raise AtCapacity("the body gave way to others while it arrived", retry_after_s=1) from None
            if self._hurried:
                raise ShuttingDown("the server is shutting down", retry_after_s=5) from None
            raise RequestTimeout(f"a request's body has {self._deadline_s:g} s to arrive") from None
        finally:
            self._waiting = None
        count = len(message.get("body", b""))
        self._received += count
        if self._received > self._limit:
            raise PayloadTooLarge(f"a request's body may have at most {self._limit} bytes")
        if count:
            self._budget.grow(self, count)
        if not message.get("more_body", False):
            self._complete = True
            self._budget.arrived(self)
        return message

    def hurry(self) -> None:
        """Let the rest of this body have `LAST_S` to arrive, if it has not less anyway."""
        last = asyncio.get_running_loop().time() + LAST_S
        if not self._hurried and last < self._deadline:
            self._hurried, self._deadline = True, last
            if self._waiting is not None:
                self._waiting.reschedule(last)

    def give_way(self) -> None:
        """Let the reader of this body raise AtCapacity, now or when it reads on."""
        self._displaced = True
        if self._waiting is not None:
            self._waiting.reschedule(0.0)
