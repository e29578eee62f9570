"""Runs the application under uvicorn, with limits on sockets and a drain that answers every accepted frame."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.config
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator, Iterator
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from model.checkpoints import find_weights, load_weights
from model.errors import ModelError
from model.inference.choice import candidates
from model.inference.devices import choose_device
from service.api.components import Components, running_components
from service.api.limited_socket import limited_socket
from service.app import create_app
from service.connections import BoundedHttp, ConnectionLimits, Door, affordable_connections
from service.operations.last_resort import LastResort
from service.operations.logs import log_config
from service.post import Post
from service.settings import Settings

_log = logging.getLogger(__name__)

_PING_S, _PONG_S = 5.0, 20.0
"""A dead connection is noticed within the sum of these."""


_STOP_SLACK_S = 3.0
"""What a stop may take beside the drain."""


class DrainingServer(uvicorn.Server):
    """A uvicorn server that lets every stream answer its accepted frames before it stops.

    Plain uvicorn closes the sockets at once. SIGTERM and SIGINT end this server with exit status 0. It stops by itself
    once the model is lost for ever.
    """

    def __init__(
        self, config: uvicorn.Config, stopping: Callable[[], None] = lambda: None, post: Post | None = None
    ) -> None:
        """`stopping`: called when the server begins to stop, by a signal or by itself.

        `post`: the place among the workers of a server, if there are several.
        """
        super().__init__(config)
        self._stopping, self._post = stopping, post
        self.lost: str | None = None
        """Why the model is lost; None if it is not."""

    @property
    def components(self) -> Components | None:
        """The application's components, once it has started."""
        return running_components(self.config.app)

    async def on_tick(self, counter: int) -> bool:
        components = self.components
        self.lost = components.batcher.lost if components is not None else None
        if self.lost is not None:
            _log.critical("%s; the server ends, so that another is started", self.lost)
            self._stopping()
            return True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers if self.started else []:
            for listener in server.sockets:
                host, port = listener.getsockname()[:2]
                _log.info("serving on http://%s:%d", f"[{host}]" if ":" in host else host, port)
        if self.started and self._post is not None:
            asyncio.get_running_loop().add_reader(self._post.life, self._orphaned)
            self._post.announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        components = self.components
        if components is not None:
            components.tracking.registry.close()
            if not await components.drain.finish(components.settings.drain_s):
                _log.warning("some streams had not finished after %g s", components.settings.drain_s)
            components.tracking.stop_decoding()
        await super().shutdown(sockets)

    def _orphaned(self) -> None:
        """The process that started this worker has gone: nobody else would stop it."""
        assert self._post is not None
        asyncio.get_running_loop().remove_reader(self._post.life)
        _log.warning("the process that started this worker has gone")
        self._stopping()
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn would raise the signal again after its shutdown, and the exit status would not be 0.
        with _handled((signal.SIGINT, signal.SIGTERM), self.handle_exit):
            yield


@contextlib.contextmanager
def _handled(signals: tuple[signal.Signals, ...], handler: Any) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _door(settings: Settings, app: FastAPI) -> Door:
    """The bounds on connections; refusals count in the metrics of the running application."""

    def refused(slug: str) -> None:
        components = running_components(app)
        if components is not None:
            components.metrics.refused(slug)

    connections = affordable_connections(settings.max_connections)
    return Door(ConnectionLimits(connections, settings.head_s, settings.body_s), refused)


def run(settings: Settings, post: Post | None = None) -> int:
    """Serve until told to stop, and then end the process: with status 0, or with 1 where the model was lost.

    `post`: the place among the workers of a server, whose sockets are then served; None: the settings' own port is.
    Returns the exit status where the server did not start: 2 unusable model or device, 1 any other failure.
    """
    logging.config.dictConfig(log_config(settings.log_format))
    try:
        # Before uvicorn starts: it would hide the reason behind a traceback.
        weights = load_weights(find_weights(settings.weights))
        candidates(settings.runtime, settings.precision, choose_device(settings.device), weights.network.config)
    except ModelError as error:
        print(f"siamfc: {error}", file=sys.stderr)
        return 2
    last_resort = LastResort(settings.drain_s + _STOP_SLACK_S)
    app = create_app(settings, weights=weights, post=post)
    server = DrainingServer(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            http=partial(BoundedHttp, door=_door(settings, app)),  # type: ignore[arg-type]
            ws=limited_socket(settings.small_frames_per_s),
            ws_max_size=settings.max_frame_bytes,
            ws_ping_interval=_PING_S,
            ws_ping_timeout=_PONG_S,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
            access_log=False,
            proxy_headers=bool(settings.proxies()),
            forwarded_allow_ips=list(settings.proxies()),
            server_header=False,
        ),
        last_resort.arm,
        post,
    )
    try:
        server.run(None if post is None else post.sockets())
    except SystemExit:
        # uvicorn could not start, and has logged why.
        return 1
    if not server.started:
        return 1
    # At once: a thread that never ends would be waited for, and the interpreter takes seconds to take torch down.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0 if server.lost is None else 1)
