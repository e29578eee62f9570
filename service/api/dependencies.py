"""What routes ask for, by type."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from service.api.components import Parts
from service.errors import RateLimited, ShuttingDown


def parts_of(connection: HTTPConnection) -> Parts:
    """The server's parts; raises ShuttingDown before they are there."""
    parts = getattr(connection.app.state, "parts", None)
    if not isinstance(parts, Parts):
        raise ShuttingDown("the server is not started")
    return parts


PartsDep = Annotated[Parts, Depends(parts_of)]


def owner_of(connection: HTTPConnection, parts: PartsDep) -> str:
    """Who calls; raises Unauthorized."""
    return parts.keyring.owner(connection.headers)


OwnerDep = Annotated[str, Depends(owner_of)]


def payer_of(connection: HTTPConnection, parts: Parts, owner: str) -> str:
    """Whose frames are counted: the key's owner, or the caller's address where no key is asked for."""
    if parts.keyring.asked or connection.client is None:
        return owner
    return connection.client.host


def charge_frame(connection: HTTPConnection, parts: PartsDep, owner: OwnerDep) -> None:
    """Count one frame; raises RateLimited."""
    wait_s = parts.rate.take(payer_of(connection, parts, owner))
    if wait_s:
        raise RateLimited("more frames a second than this server allows", retry_after_s=wait_s)


FrameCharge = Depends(charge_frame)


async def waited_for(parts: PartsDep) -> AsyncIterator[None]:
    """A request that a draining server lets finish."""
    with parts.drain.busy():
        yield


WaitedFor = Depends(waited_for)
