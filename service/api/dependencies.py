"""What routes ask for, by type."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from service.api.components import Components
from service.errors import RateLimited, ShuttingDown


def components_of(connection: HTTPConnection) -> Components:
    """The server's components; raises ShuttingDown before they are there."""
    components = getattr(connection.app.state, "components", None)
    if not isinstance(components, Components):
        raise ShuttingDown("the server is not started")
    return components


ComponentsDep = Annotated[Components, Depends(components_of)]


def owner_of(connection: HTTPConnection, components: ComponentsDep) -> str:
    """Who calls; raises Unauthorized."""
    return components.keyring.owner(connection.headers)


OwnerDep = Annotated[str, Depends(owner_of)]


def rate_limit_key(connection: HTTPConnection, components: Components, owner: str) -> str:
    """Whose frames are counted: the key's owner, or the caller's address where no key is asked for."""
    if components.keyring.asked or connection.client is None:
        return owner
    return connection.client.host


def charge_frame(connection: HTTPConnection, components: ComponentsDep, owner: OwnerDep) -> None:
    """Count one frame; raises RateLimited."""
    wait_s = components.rate.take(rate_limit_key(connection, components, owner))
    if wait_s:
        raise RateLimited("more frames a second than this server allows", retry_after_s=wait_s)


FrameCharge = Depends(charge_frame)


async def waited_for(components: ComponentsDep) -> AsyncIterator[None]:
    """A request that a draining server lets finish."""
    with components.drain.busy():
        yield


WaitedFor = Depends(waited_for)
