"""The attacks of `siamfc bench hostile`, each a block in which two hostile clients are at work."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial

from websockets.frames import Frame, Opcode

from benchmarks import _attackers as attackers
from benchmarks import _crafted_jpeg as jpeg

CLIENTS = 2
_HALF_OPEN = 200
_TIMEOUT_S = 30.0
_MANY = 5000

Attack = Callable[[str, list[str]], AbstractContextManager[None]]
"""(the server's base address, a session's id for each client) -> the attack, while its block runs."""


def attacks(frame: bytes) -> dict[str, Attack]:
    """The attacks by name. `frame`: an encoded image that is a frame of the sessions."""
    begun = Frame(Opcode.BINARY, b"", fin=False).serialize(mask=True)
    box = [10, 10, 20, 20]
    taken = [{"id": str(_MANY + k), "box": box} for k in range(_MANY)] + [{"box": box}] * (_MANY // 4)
    return {
        "texts": partial(_flood, attackers.VALID_TEXTS),
        "texts that are none": partial(_flood, attackers.TEXTS),
        "pings whose pongs are not read": partial(_flood, attackers.PINGS, reads=False),
        "empty pieces of a message": partial(_flood, attackers.PIECES, first=begun),
        "messages without bytes": partial(_flood, attackers.TINY_FRAMES),
        "names that are taken": partial(_repeat, partial(_post, *_form(frame, json.dumps(taken).encode()))),
        "a million that are no targets": partial(
            _repeat, partial(_post, b'{"frame": "", "targets": [' + b"1," * 999_999 + b"1]}", "application/json")
        ),
        "images of 250 scans": partial(
            _repeat, partial(_post, *_form(jpeg.refined(1024, 1024, 1, 250, doubt=True), b'[{"box": [1, 1, 9, 9]}]'))
        ),
        "garbage requests": partial(_repeat, _garbage),
        "heads without end": partial(_repeat, partial(_endless, b"GET / HTTP/1.1\r\n", b"x: " + b"y" * 1000 + b"\r\n")),
        "bodies without end": partial(
            _repeat,
            partial(
                _endless,
                b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                b"Content-Type: application/json\r\n\r\n",
                b"1000\r\n" + b" " * 4096 + b"\r\n",
            ),
        ),
        "half-open handshakes": _half_open,
    }


def _form(frame: bytes, targets: bytes) -> tuple[bytes, str]:
    head = b'--b\r\nContent-Disposition: form-data; name="frame"; filename="f"\r\n\r\n'
    text = b'\r\n--b\r\nContent-Disposition: form-data; name="targets"\r\n\r\n'
    return head + frame + text + targets + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


@contextmanager
def _flood(frame: Frame, url: str, sessions: list[str], *, reads: bool = True, first: bytes = b"") -> Iterator[None]:
    data = attackers.repeated(frame)
    with ExitStack() as stack:
        for session in sessions:
            connection = attackers.opened(url, session)
            stack.enter_context(attackers.flooding(connection, data, reads=reads, first=first))
        yield


@contextmanager
def _repeat(once: Callable[[str, threading.Event], None], url: str, sessions: list[str]) -> Iterator[None]:
    """As many clients as sessions, each doing the same over and over."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            with suppress(OSError, http.client.HTTPException):
                once(url, ended)

    threads = [threading.Thread(target=work) for _ in sessions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _post(body: bytes, media: str, url: str, ended: threading.Event) -> None:
    host, port = attackers.address_of(url)
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.request("POST", "/v1/sessions", body, {"Content-Type": media})
        connection.getresponse().read()
    finally:
        connection.close()


def _garbage(url: str, ended: threading.Event) -> None:
    with socket.create_connection(attackers.address_of(url), _TIMEOUT_S) as connection:
        connection.sendall(b"garbage\r\n\r\n")
        connection.recv(4096)


def _endless(head: bytes, more: bytes, url: str, ended: threading.Event) -> None:
    with socket.create_connection(attackers.address_of(url), _TIMEOUT_S) as connection:
        connection.sendall(head)
        while not ended.is_set():
            connection.sendall(more)


@contextmanager
def _half_open(url: str, sessions: list[str]) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(_HALF_OPEN):
            connection = stack.enter_context(socket.create_connection(attackers.address_of(url), _TIMEOUT_S))
            connection.sendall(b"GET /v1/sessions/x/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n")
        yield
