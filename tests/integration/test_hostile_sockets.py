"""Floods of tiny frames: the server slows their sender, and nobody else waits for it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.frames import Frame, Opcode

from benchmarks import _attackers
from tests.integration import scene
from tests.integration.calls import ask, close_code, receive, receive_ready, session_on, stream
from tests.integration.hostile import HEALTHY_S, watched
from tests.support.server import Server

FLOODERS = 2
FRAMES = 5
MOST_MEMORY_MB = 40

FLOODS = [
    pytest.param(_attackers.VALID_TEXTS, b"", True, id="texts"),
    pytest.param(_attackers.TEXTS, b"", True, id="texts-that-are-none"),
    pytest.param(_attackers.PINGS, b"", True, id="pings"),
    pytest.param(_attackers.PINGS, b"", False, id="pings-whose-pongs-are-not-read"),
    pytest.param(_attackers.PIECES, Frame(Opcode.BINARY, b"", fin=False).serialize(mask=True), True, id="empty-pieces"),
    pytest.param(_attackers.TINY_FRAMES, b"", True, id="frames-without-bytes"),
]


def memory_mb(server: Server) -> float:
    """The server's resident memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.parametrize(("frame", "first", "reads"), FLOODS)
def test_floods(server: Server, client: httpx.Client, frame: Frame, first: bytes, reads: bool) -> None:
    before = memory_mb(server)
    with ExitStack() as stack:
        honest = stack.enter_context(session_on(client))
        for _ in range(FLOODERS):
            session = stack.enter_context(session_on(client))
            connection = _attackers.opened(server.url, session["session_id"])
            stack.enter_context(_attackers.flooding(connection, _attackers.repeated(frame), reads=reads, first=first))
        with watched(server) as watch, stream(server, honest["session_id"]) as connected:
            receive_ready(connected)
            for k in range(FRAMES):
                assert ask(connected, scene.frame(k))["type"] == "result"
        grown = memory_mb(server) - before
    assert watch.worst_s < HEALTHY_S
    assert grown < MOST_MEMORY_MB


def test_a_client_over_its_budget_is_slowed_and_served(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session, stream(server, session["session_id"]) as connection:
        receive_ready(connection)
        begun = time.monotonic()
        for _ in range(1200):
            connection.send('{"type": "part", "at": [0, 0]}')
        connection.send('{"type": "set_target", "id": "a", "box": [10, 10, 20, 20]}')
        # The last part is the whole frame, so it can be placed.
        answer = ask(connection, scene.frame(1))
        assert (answer["type"], len(answer["targets"])) == ("result", 2)
        assert time.monotonic() - begun > 1.0


def test_too_many_messages_that_are_none_close_the_stream(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session, stream(server, session["session_id"]) as connection:
        receive_ready(connection)
        # More than the hundred that are allowed: some are forgiven while they are on their way.
        for _ in range(400):
            connection.send("?")
        assert receive(connection)["type"] == "error"
        assert close_code(connection) == 1008


def test_pings_are_answered_in_order_and_closing_works(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session:
        connection = _attackers.opened(server.url, session["session_id"])
        with connection:
            connection.settimeout(30)
            frames = [Frame(Opcode.PING, b"%d" % k) for k in range(30)] + [Frame(Opcode.CLOSE, b"\x03\xe8")]
            connection.sendall(b"".join(frame.serialize(mask=True) for frame in frames))
            came = b""
            while data := connection.recv(65_536):
                came += data
        at = -1
        for k in range(30):
            at = came.index(bytes((0x8A, len(str(k)))) + b"%d" % k, at + 1)
        assert came.endswith(b"\x88\x02\x03\xe8")
        connection.close()
