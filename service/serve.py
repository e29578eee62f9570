"""Runs the application under uvicorn, with limits on sockets and a drain that answers every accepted frame."""

from __future__ import annotations

import contextlib
import logging
import logging.config
import signal
import socket
import sys
from collections.abc import Generator, Iterator
from typing import Any

import uvicorn

from model.checkpoints import find_weights, load_weights
from model.errors import ModelError
from model.inference.choice import candidates
from model.inference.devices import choose_device
from service.api.components import Components
from service.app import create_app
from service.operations.logs import log_config
from service.settings import Settings

_log = logging.getLogger(__name__)

_PING_S, _PONG_S = 5.0, 20.0
"""A dead connection is noticed within the sum of these."""


class DrainingServer(uvicorn.Server):
    """A uvicorn server that lets every stream answer its accepted frames before it stops.

    Plain uvicorn closes the sockets at once. SIGTERM and SIGINT end this server with exit status 0.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers if self.started else []:
            for listener in server.sockets:
                host, port = listener.getsockname()[:2]
                _log.info("serving on http://%s:%d", f"[{host}]" if ":" in host else host, port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        components = getattr(self.config.app.state, "components", None)  # type: ignore[union-attr]
        if isinstance(components, Components):
            components.tracking.registry.close()
            if not await components.drain.finish(components.settings.drain_s):
                _log.warning("some streams had not finished after %g s", components.settings.drain_s)
            components.tracking.stop_decoding()
        await super().shutdown(sockets)

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


def run(settings: Settings) -> int:
    """Serve until told to stop. Returns the exit status: 0 done, 2 unusable model or device, 1 any other failure."""
    logging.config.dictConfig(log_config(settings.log_format))
    try:
        # Before uvicorn starts: it would hide the reason behind a traceback.
        weights = load_weights(find_weights(settings.weights))
        candidates(settings.runtime, settings.precision, choose_device(settings.device), weights.network.config)
    except ModelError as error:
        print(f"siamfc: {error}", file=sys.stderr)
        return 2
    server = DrainingServer(
        uvicorn.Config(
            create_app(settings, weights=weights),
            host=settings.host,
            port=settings.port,
            log_config=None,
            ws="websockets-sansio",
            ws_max_size=settings.max_frame_bytes,
            ws_ping_interval=_PING_S,
            ws_ping_timeout=_PONG_S,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
            access_log=False,
            server_header=False,
        )
    )
    try:
        server.run()
    except SystemExit:
        # uvicorn could not start, and has logged why.
        return 1
    return 0 if server.started else 1
