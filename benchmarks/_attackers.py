"""Hostile clients of a real server: raw sockets, so that nothing keeps them from breaking rules."""

from __future__ import annotations

import base64
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from websockets.frames import Frame, Opcode

_CHUNK = 64 * 1024
_CONNECT_S = 30.0

TEXTS = Frame(Opcode.TEXT, b"?")
VALID_TEXTS = Frame(Opcode.TEXT, b'{"type":"set_target","id":"a","box":[1,1,9,9]}')
PINGS = Frame(Opcode.PING, b"x" * 125)
PIECES = Frame(Opcode.CONT, b"", fin=False)
TINY_FRAMES = Frame(Opcode.BINARY, b"")


def address_of(url: str) -> tuple[str, int]:
    """The host and port of a server's base address."""
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def opened(url: str, session_id: str, query: str = "") -> socket.socket:
    """A socket on the session's stream, its handshake done, that waits in nothing it sends."""
    connection = socket.create_connection(address_of(url), _CONNECT_S)
    key = base64.b64encode(os.urandom(16)).decode()
    head = [
        f"GET /v1/sessions/{session_id}/stream{query} HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    ]
    connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
    assert connection.recv(_CHUNK).startswith(b"HTTP/1.1 101"), "the handshake was refused"
    return connection


def repeated(frame: Frame, first: Frame | None = None) -> bytes:
    """About 64 KiB of one frame, as a client sends it; `first` comes before them."""
    once = frame.serialize(mask=True)
    begin = first.serialize(mask=True) if first is not None else b""
    return begin + once * (_CHUNK // len(once))


@contextmanager
def flooding(connection: socket.socket, data: bytes, *, reads: bool = True, first: bytes = b"") -> Iterator[None]:
    """Send `first`, then `data` again and again while the block runs, as fast as the server takes it.

    `reads`: whether the client reads what the server answers.
    """
    ended = threading.Event()

    def send() -> None:
        with suppress(OSError):
            connection.sendall(first)
            while not ended.is_set():
                connection.sendall(data)

    def read() -> None:
        with suppress(OSError):
            while connection.recv(_CHUNK):
                pass

    threads = [threading.Thread(target=send), *([threading.Thread(target=read)] if reads else [])]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        connection.close()
