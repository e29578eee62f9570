"""What a fuzzer calls: each takes any bytes, and raises nothing but the error that those bytes deserve."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from service.api.bodies import BodyLimits, parse_create, parse_frame, parse_placement
from service.api.multipart import MediaType
from service.errors import InvalidRequest, PayloadTooLarge, ServiceError, UnsupportedMedia
from service.sessions.decoding import decode_frame
from service.wire import codec
from service.wire.messages import Frame
from service.wire.protocol import StreamProtocol, StreamState

MAX_PIXELS = 256 * 256
_LIMITS = BodyLimits(frame_bytes=64 * 1024, targets=4)
_MEDIA = (
    "application/json",
    "multipart/form-data; boundary=b",
    'multipart/form-data; boundary="b c"',
    "multipart/form-data",
    "image/jpeg",
    "text/plain",
)


def wire(data: bytes) -> None:
    """A stream's life: a byte's lowest bit chooses text or frame, the seven others its length. Each frame is answered.

    Raises AssertionError where a frame has not got exactly one answer.
    """
    protocol = StreamProtocol(2, "every", 3)
    accepted = answered = at = 0
    while at < len(data):
        binary, length = data[at] & 1, data[at] >> 1
        piece, at = data[at + 1 : at + 1 + length], at + 1 + length
        if binary:
            accepted += protocol.receive_frame(piece)
        else:
            with contextlib.suppress(InvalidRequest):
                protocol.receive(codec.parse(piece.decode(errors="replace")))
        if not protocol.wants_input:
            answered += _answer_all(protocol)
    answered += _answer_all(protocol)
    assert answered == accepted, f"{accepted} frames, {answered} answers"
    assert protocol.idle or protocol.state is StreamState.CLOSED


def _answer_all(protocol: StreamProtocol) -> int:
    sent = 0
    while (item := protocol.take()) is not None:
        if isinstance(item, Frame):
            sent += len(protocol.answer(item.seq, codec.dropped(item.seq)))
    return sent


def body(data: bytes) -> None:
    """A request's body: the first byte chooses its media type."""
    if not data:
        return
    media, rest = MediaType.parse(_MEDIA[data[0] % len(_MEDIA)]), data[1:]
    for call in (parse_create, _placement, parse_frame):
        with contextlib.suppress(InvalidRequest, UnsupportedMedia, PayloadTooLarge):
            call(rest, media, _LIMITS)


def _placement(data: bytes, media: MediaType, limits: BodyLimits) -> object:
    return parse_placement(data, media, limits, target_id="0")


def image(data: bytes) -> None:
    """An encoded image, walked and decoded. Raises AssertionError where it is larger than allowed."""
    with contextlib.suppress(ServiceError):
        decoded = decode_frame(data, MAX_PIXELS)
        width, height = decoded.size
        assert width * height <= MAX_PIXELS


TARGETS: Mapping[str, Callable[[bytes], None]] = MappingProxyType({"wire": wire, "body": body, "image": image})
"""The targets by name."""
