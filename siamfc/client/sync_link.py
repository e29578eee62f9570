"""The blocking socket under a session."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from siamfc.client.protocol import Mode, StreamProtocol
from siamfc.client.results import Answer, SessionState
from siamfc.client.sockets import FAILURES, Route, closure, judge_opening


class Link:
    """A session's socket, made again when it breaks. All it knows of the stream is in `protocol`."""

    def __init__(self, route: Route, fetch_state: Callable[[], SessionState], *, driven_before: bool) -> None:
        self.protocol = StreamProtocol(route.kind[0], driven_before=driven_before)
        self._route, self._fetch_state = route, fetch_state
        self._socket: ClientConnection | None = None
        self._delays: Iterator[float] = iter(())
        self._stalls: Iterator[float] = route.reconnect.delays()

    @property
    def kind(self) -> tuple[Mode, bool]:
        """What the socket was asked for: mode, response maps."""
        return self._route.kind

    def open(self) -> None:
        self._delays = self._route.reconnect.delays()
        try:
            try:
                self._attempt()
            except FAILURES as error:
                judge_opening(error, self.protocol)
                self._retry(self._delays, error)
        except BaseException:
            self.close()
            raise

    def submit(self, frame: bytes) -> int:
        number = self.protocol.submit(frame)
        self._flush()
        return number

    def set_target(self, target_id: str, box: Sequence[float]) -> None:
        self.protocol.set_target(target_id, box)
        self._flush()

    def remove_target(self, target_id: str) -> None:
        self.protocol.remove_target(target_id)
        self._flush()

    def receive(self, timeout_s: float) -> list[Answer]:
        """The answers that the next message brings, or a reconnect; with a timeout of 0 none where none has come."""
        assert self._socket is not None
        try:
            answers = self.protocol.receive(self._socket.recv(timeout_s))
        except TimeoutError:
            if timeout_s == 0:
                return []
            raise self._route.timed_out() from None
        except ConnectionClosed as closed:
            self.protocol.disconnected(*closure(closed))
            if self.protocol.progressed:
                self._delays = self._route.reconnect.delays()
            return self._retry(self._delays, closed)
        if self.protocol.stalled:
            return self._wait()
        if answers:
            self._stalls = self._route.reconnect.delays()
        self._flush()
        return answers

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _flush(self) -> None:
        assert self._socket is not None
        # A broken connection is met, and mended, by the next receive.
        with suppress(ConnectionClosed):
            for message in self.protocol.data_to_send():
                self._socket.send(message)

    def _wait(self) -> list[Answer]:
        """Send again, after a while, what the server could not keep; give it up when that has been done for long."""
        delay = next(self._stalls, None)
        if delay is None:
            self._stalls = self._route.reconnect.delays()
            answers = self.protocol.give_up()
        else:
            time.sleep(delay)
            self.protocol.go_on()
            answers = []
        self._flush()
        return answers

    def _retry(self, delays: Iterator[float], last: Exception) -> list[Answer]:
        for delay in delays:
            time.sleep(delay)
            try:
                return self._attempt()
            except FAILURES as error:
                judge_opening(error, self.protocol)
                last = error
        raise self._route.exhausted(last) from last

    def _attempt(self) -> list[Answer]:
        self.close()
        # Entered and closed by hand: the connection outlives this call.
        self._socket = connect(self._route.url(self.protocol.resume), **self._route.arguments).__enter__()
        answers = self.protocol.connected(self._socket.recv(self._route.timeout_s))
        if self.protocol.needs_state:
            answers = self.protocol.recover(self._fetch_state())
        self._flush()
        return answers
