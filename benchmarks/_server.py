"""A real server in a process of its own: started on a free port, awaited, stopped by SIGTERM."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

START_DEADLINE_S = 90.0
STOP_DEADLINE_S = 15.0
POLL_S = 0.05


@dataclass(frozen=True)
class Server:
    """One running server. `url` is its base, without a slash at the end; `log` is the file with all it printed."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def socket_url(self) -> str:
        """The base of socket addresses."""
        return self.url.replace("http://", "ws://", 1)

    def terminate(self) -> None:
        """Tell it to stop, as an orchestrator would."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, deadline_s: float = STOP_DEADLINE_S) -> int:
        """Its exit status. Raises AssertionError, with the log, when it does not stop in time."""
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not stop within {deadline_s} s\n{self.printed()}") from None

    def printed(self) -> str:
        """The text that it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def free_port() -> int:
    """A port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without `SIAMFC_*`, plus `settings` (names without that prefix).

    The runtime is torch unless they name another: the choice at start would cost every server seconds. What is measured
    is not remembered, so that every measurement is its run's own.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SIAMFC_")}
    chosen = {"RUNTIME": "torch", "REMEMBER": "false", **settings}
    return inherited | {f"SIAMFC_{name}": value for name, value in chosen.items()}


def start_server(log: Path, settings: Mapping[str, str], program: Sequence[str] = ("-m", "service")) -> Server:
    """A server that answers `GET /readyz` with 200. Raises AssertionError, with the log, when it does not in time."""
    server = launch(log, free_port(), settings, program)
    try:
        wait_ready(server)
    except BaseException:
        server.process.kill()
        server.process.wait()
        raise
    return server


def launch(log: Path, port: int, settings: Mapping[str, str], program: Sequence[str] = ("-m", "service")) -> Server:
    """A server on that port, which may not answer yet. What it prints goes to the end of `log`.

    `program`: the interpreter's arguments that begin it.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *program],
            env=environment({"HOST": "127.0.0.1", "PORT": str(port), **settings}),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Server(f"http://127.0.0.1:{port}", process, log)


@contextmanager
def running_server(log: Path, **settings: str) -> Iterator[Server]:
    """A server for the block; afterwards it must stop on SIGTERM with status 0 and a log without tracebacks."""
    server = start_server(log, settings)
    try:
        yield server
    except BaseException:
        server.process.kill()
        server.process.wait()
        raise
    if server.process.poll() is None:
        server.terminate()
    status = server.wait()
    assert status == 0, f"exit status {status}\n{server.printed()}"
    assert "Traceback" not in server.printed(), server.printed()


def wait_ready(server: Server) -> None:
    """Until `GET /readyz` answers 200. Raises AssertionError, with the log, when it does not in time."""
    deadline = time.monotonic() + START_DEADLINE_S
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if client.get("/readyz").status_code == 200:
                    return
            # Returns early when the process has ended: nothing more to wait for.
            with suppress(subprocess.TimeoutExpired):
                status = server.process.wait(POLL_S)
                raise AssertionError(f"the server ended with status {status} at start\n{server.printed()}")
    raise AssertionError(f"the server was not ready within {START_DEADLINE_S} s\n{server.printed()}")
