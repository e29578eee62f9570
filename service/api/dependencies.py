"""FastAPI dependencies: what a route receives by the type of its parameter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from service.api.components import Components, running_components
from service.errors import RateLimited, ShuttingDown


def components_of(connection: HTTPConnection) -> Components:
    """Get the server's components. Raises ShuttingDown before the server has started."""
    components = running_components(connection.app)
    if components is None:
        raise ShuttingDown("the server is not started")
    return components


ComponentsDep = Annotated[Components, Depends(components_of)]


def owner_of(connection: HTTPConnection, components: ComponentsDep) -> str:
    """Identify the caller by its API key. Raises Unauthorized."""
    return components.keyring.owner(connection.headers)


OwnerDep = Annotated[str, Depends(owner_of)]


def rate_limit_key(connection: HTTPConnection, components: ComponentsDep, owner: OwnerDep) -> str:
    """Name the caller whose share of the server a frame takes: its key, or its address on a server without keys."""
    if components.keyring.asked or connection.client is None:
        return owner
    return connection.client.host


CallerDep = Annotated[str, Depends(rate_limit_key)]


def charge_frame(connection: HTTPConnection, components: ComponentsDep, owner: OwnerDep) -> None:
    """Take one frame from the caller's bucket. Raises RateLimited."""
    wait_s = components.rate.take(rate_limit_key(connection, components, owner))
    if wait_s:
        raise RateLimited("more frames a second than this server allows", retry_after_s=wait_s)


FrameCharge = Depends(charge_frame)


async def waited_for(components: ComponentsDep) -> AsyncIterator[None]:
    """Make a draining server wait for this request."""
    with components.drain.busy():
        yield


WaitedFor = Depends(waited_for)
