"""Finds where WebSocket frames begin in a client's bytes, without parsing them (RFC 6455, section 5.2).

Large frames are paid for by their bytes. Small ones cost the server as much work and the client almost nothing, so they
are counted, and few frames pass at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SMALL = 1024
"""A frame of a message in pieces is small below this payload, in bytes."""

_CONTINUATION, _BINARY, _PING = 0x0, 0x2, 0x9
_FIN, _OPCODE, _LENGTH, _MASKED = 0x80, 0x0F, 0x7F, 0x80
_EXTENDED = {126: 2, 127: 8}
"""Bytes of an extended length, by the short one."""


Stop = Literal["bytes", "frames", "ping"]
"""Why a walk ended: it needs further bytes, as many frames as allowed have passed, or a ping may not pass yet."""


@dataclass(frozen=True, slots=True)
class Passed:
    """How far a walk came: the bytes up to `end` may pass, with `small` small frames among them."""

    end: int
    small: int
    stop: Stop


class FrameWalk:
    """One connection's walk. It remembers how much of a frame's payload is still to come."""

    def __init__(self) -> None:
        self._payload_left = 0

    def walk(self, data: bytes | bytearray, most: int, *, pings: bool = True) -> Passed:
        """Go over `data`, which begins where the last walk ended, past at most `most` frames.

        Small are texts, control frames, and pieces of messages below `SMALL` bytes; a binary message in one frame never
        is. `pings`: whether pings may pass. A header that is not there yet in whole stays behind the end.
        """
        at = small = 0
        for _ in range(most):
            at = self._over_payload(data, at)
            header = _header(data, at) if not self._payload_left else None
            if header is None:
                return Passed(at, small, "bytes")
            size, payload, is_small, is_ping = header
            if is_ping and not pings:
                return Passed(at, small, "ping")
            small += is_small
            at += size
            self._payload_left = payload
        at = self._over_payload(data, at)
        return Passed(at, small, "bytes" if at == len(data) else "frames")

    def _over_payload(self, data: bytes | bytearray, at: int) -> int:
        step = min(self._payload_left, len(data) - at)
        self._payload_left -= step
        return at + step


def _header(data: bytes | bytearray, at: int) -> tuple[int, int, bool, bool] | None:
    """A frame's header: its size and its payload in bytes, whether the frame is small, whether a ping; None if cut."""
    if len(data) < at + 2:
        return None
    first, second = data[at], data[at + 1]
    payload, size = second & _LENGTH, 2
    extended = _EXTENDED.get(payload, 0)
    if extended:
        size += extended
        payload = int.from_bytes(data[at + 2 : at + size])
    if second & _MASKED:
        size += 4
    if len(data) < at + size:
        return None
    opcode = first & _OPCODE
    large = payload >= SMALL or bool(first & _FIN)
    in_whole = opcode == _BINARY and large
    piece = opcode == _CONTINUATION and payload >= SMALL
    return size, payload, not (in_whole or piece), opcode == _PING
