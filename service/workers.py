"""A server of one process, or of several that accept connections from the same port and share their sessions in Redis.

The starting process owns the port, loads no network and serves nothing. It starts the first worker alone, which refuses
what cannot be used and measures what is left open, and the others when that one is ready. A worker that dies is
replaced; the clients of its streams resume at the others. SIGTERM and SIGINT are passed on, and every worker drains.
"""

from __future__ import annotations

import logging
import logging.config
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from service.operations.logs import log_config
from service.post import Post
from service.settings import Settings

_log = logging.getLogger(__name__)

_STOPS = frozenset({signal.SIGTERM, signal.SIGINT})
_STOP_S = 10.0
"""Seconds that a worker may need to stop beyond those of its drain."""
_FIRST_DELAY_S, _MAX_DELAY_S = 0.5, 30.0
"""Wait before a dead worker is replaced: the first, doubled for every one that dies before it is ready."""


def run(settings: Settings) -> int:
    """Serve until told to stop, in as many processes as the settings say.

    Returns the exit status: 0 done, 2 unusable model or device, 1 any other failure.
    """
    if settings.workers == 1:
        # Imported here because the starting process of several needs no torch.
        from service.serve import run as serve

        return serve(settings)
    logging.config.dictConfig(log_config(settings.log_format))
    with ExitStack() as stack:
        try:
            sockets = [stack.enter_context(each) for each in bound(settings.host, settings.port)]
        except OSError as error:
            _log.error("cannot listen on %s, port %d: %s", settings.host, settings.port, error)
            return 1
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="siamfc-"))
        return Supervisor(settings, sockets, folder).run()


def bound(host: str, port: int) -> list[socket.socket]:
    """Sockets on every address of the host, all with the same port. Raises OSError."""
    kind, flags = socket.SOCK_STREAM, socket.AI_PASSIVE
    found = dict.fromkeys(socket.getaddrinfo(host or None, port, type=kind, flags=flags))
    with ExitStack() as stack:
        made: list[socket.socket] = []
        for family, _, protocol, _, address in found:
            each = stack.enter_context(socket.socket(family, kind, protocol))
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # A free port that the first address was given is the others' too.
            each.bind((address[0], made[0].getsockname()[1] if made else port, *address[2:]))
            made.append(each)
        stack.pop_all()
    return made


def for_worker(settings: Settings) -> Settings:
    """The settings of one of the workers: its share of the cores, unless the threads are named."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = max(1, cores // settings.workers)
    return settings.model_copy(update={"threads": settings.threads or share})


@dataclass(slots=True)
class _Worker:
    """One worker process. pipe: its end of `Post.ready`, read here."""

    number: int
    process: subprocess.Popen[bytes]
    pipe: int
    ready: bool = False


class Supervisor:
    """Starts workers, replaces those that die, and stops them all."""

    def __init__(
        self,
        settings: Settings,
        sockets: Sequence[socket.socket],
        folder: str,
        program: Sequence[str] = (sys.executable, "-m", "service.worker"),
    ) -> None:
        """sockets, folder: as `Post` has them. program: a worker's command line, without its place."""
        self._settings, self._sockets, self._folder, self._program = settings, sockets, folder, program
        self._environment = for_worker(settings).environment()
        self._workers: dict[int, _Worker] = {}
        self._due: dict[int, float] = {}  # when dead workers are to be replaced, by number
        self._failures = 0  # workers that died before they were ready, since one was
        self._served = False  # whether a worker has been ready
        self._stopping = False
        self._deadline: float | None = None  # when workers that have not stopped are killed
        self._status = 0
        self._selector = selectors.DefaultSelector()
        self._life: tuple[int, int] = (-1, -1)

    def run(self) -> int:
        """Serve until told to stop. Returns the exit status."""
        self._life = os.pipe()
        try:
            with self._selector, _signals() as signals:
                self._selector.register(signals, selectors.EVENT_READ)
                self._start(0)
                while self._workers or self._due:
                    self._turn(signals)
        finally:
            # Workers that are still there, if this process fails, see that it has gone.
            for descriptor in self._life:
                os.close(descriptor)
        return self._status

    def _turn(self, signals: socket.socket) -> None:
        """Wait for the next event, and handle it."""
        for key, _ in self._selector.select(self._patience()):
            if key.fileobj is signals:
                for told in map(signal.Signals, _STOPS.intersection(signals.recv(64))):
                    self._stop(told)
            else:
                self._hear(key.data)
        now = time.monotonic()
        for number in [number for number, due in self._due.items() if due <= now]:
            del self._due[number]
            self._start(number)
        if self._deadline is not None and now >= self._deadline:
            self._kill()

    def _patience(self) -> float | None:
        """Seconds until something is to be done without an event."""
        moments = [*self._due.values(), *([self._deadline] if self._deadline is not None else [])]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _start(self, number: int) -> None:
        reading, writing = os.pipe()
        listeners = tuple(each.fileno() for each in self._sockets)
        post = Post(number, self._settings.workers, listeners, writing, self._life[0], self._folder)
        try:
            process = subprocess.Popen(
                [*self._program, post.argument()],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                pass_fds=post.descriptors,
                # A terminal's Ctrl-C reaches this process alone, which passes it on once.
                start_new_session=True,
            )
        finally:
            os.close(writing)
        self._workers[number] = worker = _Worker(number, process, reading)
        self._selector.register(reading, selectors.EVENT_READ, worker)

    def _hear(self, worker: _Worker) -> None:
        """A worker has said that it is ready, or its end of the pipe is closed."""
        if os.read(worker.pipe, 1):
            worker.ready, self._failures = True, 0
            _log.info("worker %d of %d is process %d", worker.number, self._settings.workers, worker.process.pid)
            if not self._served and not self._stopping:
                self._due = dict.fromkeys(range(1, self._settings.workers), time.monotonic())
            self._served = True
            return
        self._selector.unregister(worker.pipe)
        os.close(worker.pipe)
        del self._workers[worker.number]
        self._ended(worker, worker.process.wait())

    def _ended(self, worker: _Worker, status: int) -> None:
        if self._stopping:
            # One that was not ready had nothing to finish, and may not have heard the signal.
            self._status = self._status or int(worker.ready and status != 0)
        elif not self._served:
            # It has said why.
            self._status = status if status in (1, 2) else 1
        else:
            delay = min(_FIRST_DELAY_S * 2**self._failures, _MAX_DELAY_S)
            self._failures += not worker.ready
            words = "worker %d, process %d, ended with status %d; another takes its place in %g s"
            _log.error(words, worker.number, worker.process.pid, status, delay)
            self._due[worker.number] = time.monotonic() + delay

    def _stop(self, number: signal.Signals) -> None:
        """Tell every worker to stop; a further signal is passed on as it is."""
        for worker in self._workers.values():
            worker.process.send_signal(number if self._stopping else signal.SIGTERM)
        if not self._stopping:
            self._stopping, self._deadline = True, time.monotonic() + self._settings.drain_s + _STOP_S
            self._due.clear()
            for each in self._sockets:
                # The workers close theirs: a new connection is then refused, not left waiting.
                each.close()

    def _kill(self) -> None:
        self._deadline, self._status = None, 1
        for worker in self._workers.values():
            _log.error("worker %d, process %d, does not stop, and is killed", worker.number, worker.process.pid)
            worker.process.kill()


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket from which the numbers of signals that have a handler are read, a byte each."""
    reading, writing = socket.socketpair()
    with reading, writing:
        writing.setblocking(False)
        before = {each: signal.signal(each, lambda *_: None) for each in _STOPS}
        wakeup = signal.set_wakeup_fd(writing.fileno())
        try:
            yield reading
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
