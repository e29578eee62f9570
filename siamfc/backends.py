"""Where a target is tracked: in this process, or on a server. Everything that adapts another tool is built on this.

`open_backend` chooses. A backend makes trackers; a tracker follows one target from `start` over every `update`. Frames
and errors are the client's in either place: bytes, a path, or a uint8 BGR array; InvalidBox, InvalidFrame and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, TypedDict

from siamfc.client import Client, Target
from siamfc.client.calls import BoxLike
from siamfc.client.frames import Frame
from siamfc.client.sync import Session


class Where(TypedDict, total=False):
    """Options that say where to track, as `open_backend` takes them."""

    server: str | None
    api_key: str | None
    restart: bool
    weights: str | Path | None
    device: str
    runtime: str
    precision: str


class TargetTracker(Protocol):
    """One target's tracker."""

    def start(self, frame: Frame, box: BoxLike) -> Target:
        """Follow what `box`, [x, y, w, h] in pixels of `frame`, shows; another target is forgotten.

        Raises InvalidFrame, InvalidImage, InvalidBox and, on a server, any other ClientError.
        """

    def update(self, frame: Frame) -> Target:
        """The target in the next frame. Raises as `start`, FrameSizeChanged, and RuntimeError before `start`."""

    def close(self) -> None:
        """Forget the target."""


class Backend(Protocol):
    """A place that tracks. Use from one thread."""

    def tracker(self) -> TargetTracker:
        """A new tracker; all trackers share the backend's network or connection."""

    def close(self) -> None:
        """Free what the backend holds."""


def open_backend(
    server: str | None = None,
    *,
    api_key: str | None = None,
    restart: bool = False,
    weights: str | Path | None = None,
    device: str = "auto",
    runtime: str = "auto",
    precision: str = "auto",
) -> Backend:
    """The backend on `server` (`http://host:port`), or, without one, in this process.

    api_key, restart: as `Client` and `Client.start` take them. weights: a file, or bundled weights by name. device,
    runtime, precision: as the settings of the server. Raises ValueError for options of the other place and for an
    address that is none, and ImportError where the packages for tracking in this process are not installed.
    """
    if server is None:
        if api_key is not None or restart:
            raise ValueError("api_key and restart go with a server")
        # By name: a type checker of a user's program then need not read what the network is made of.
        load: Callable[..., Backend] = import_module("siamfc.in_process").load
        return load(weights, device, runtime, precision)
    if weights is not None or {device, runtime, precision} != {"auto"}:
        raise ValueError("weights, device, runtime and precision are the server's own")
    return OnServer(Client(server, api_key), restart=restart)


class OnServer:
    """A server, by its client."""

    def __init__(self, client: Client, *, restart: bool = False) -> None:
        self._client = client
        self._restart = restart

    def tracker(self) -> TargetTracker:
        """A tracker that has a session of its own."""
        return _ServerTracker(self._client, self._restart)

    def close(self) -> None:
        """Close the connections; sessions of trackers that are not closed end by their time to live."""
        self._client.close()


class _ServerTracker:
    def __init__(self, client: Client, restart: bool) -> None:
        self._client = client
        self._restart = restart
        self._session: Session | None = None

    def start(self, frame: Frame, box: BoxLike) -> Target:
        self.close()
        self._session = self._client.start(frame, box, restart=self._restart)
        return self._session.started.target

    def update(self, frame: Frame) -> Target:
        if self._session is None:
            raise RuntimeError("update before start")
        return self._session.update(frame).target

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.__exit__(None, None, None)
