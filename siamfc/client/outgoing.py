"""Encoded frames and other messages on their way to the server, as values."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Message: TypeAlias = str | bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One encoded frame. at: the frame pixel (x, y) where a part of one begins; None: it is whole.

    whole: encodes the whole frame, where only a part was; None where that is not asked for.
    """

    data: bytes
    at: tuple[int, int] | None = None
    whole: Callable[[], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One message to the server. number: the frame's number in the stream; None for a control message.

    at, whole: as `Outgoing` has them.
    """

    message: Message
    number: int | None = None
    at: tuple[int, int] | None = None
    whole: Callable[[], bytes] | None = None

    def messages(self, *, parts: bool) -> list[Message]:
        """The message, after the announcement of a part.

        parts: whether the server takes parts. One that does not gets the whole frame, where that can still be had.
        """
        if self.at is None:
            return [self.message]
        if self.whole is not None and not parts:
            return [self.whole()]
        return [json.dumps({"type": "part", "at": self.at}), self.message]
