"""A key that is no session, or a damaged one: told from a store that cannot be used."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

from redis.exceptions import ResponseError

from service.errors import SessionNotFound

_SIGNS = ("WRONGTYPE", "attempt to", "bad argument")
"""In the text of an error: Redis works, but not with what it has under the key."""


def is_damage(error: object) -> bool:
    """Whether Redis says so in its answer to a call."""
    return isinstance(error, ResponseError) and any(sign in str(error) for sign in _SIGNS)


def damaged() -> SessionNotFound:
    """The error that a caller of a damaged session meets."""
    return SessionNotFound("there is no such session: what the store has under its name cannot be read")


@contextlib.contextmanager
def damage_told() -> Iterator[None]:
    """Raise SessionNotFound where a session's bytes are none that a replica wrote."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AssertionError, struct.error) as error:
        raise damaged() from error
