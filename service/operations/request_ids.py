"""An id for every request and stream: in its answer's header, in its problems and in the log lines it leads to."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ACCEPTED = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_current: ContextVar[str] = ContextVar("request_id", default="")


def current_request() -> str:
    """The id of the request that is being served; empty outside of one."""
    return _current.get()


@contextmanager
def serving(given: bytes | None) -> Iterator[str]:
    """Give the request an id for the block: the caller's if it is 1 to 64 of A-Z a-z 0-9 . _ -, else a new one."""
    made = given.decode() if given is not None and _ACCEPTED.fullmatch(given) else secrets.token_hex(8)
    token = _current.set(made)
    try:
        yield made
    finally:
        _current.reset(token)


class RequestIdFilter(logging.Filter):
    """Adds `request_id` to every record, when it is made: its formatter may run elsewhere."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request()
        return True
