"""Turns text messages into values and back, and enforces every limit on a client's text."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

from service.errors import InvalidBox, InvalidPart, InvalidRequest, pointer_to
from service.wire import hints
from service.wire.messages import ClientMessage, End, FrameResult, Part, RemoveTarget, SetTarget, TargetState

MAX_TEXT = 16 * 1024
"""Limit of a client's text message, in characters."""

MAX_ID = 64
"""Limit of a target's id, in characters."""

_FIELDS = {"set_target": {"id", "box"}, "remove_target": {"id"}, "part": {"at"}, "end": set[str]()}


def parse(text: str) -> ClientMessage:
    """Parse a client's text message. Raises InvalidRequest or InvalidBox, which say what is wrong."""
    if len(text) > MAX_TEXT:
        raise InvalidRequest(f"a text message may have at most {MAX_TEXT} characters{hints.of_text(text)}")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"a text message must be JSON{hints.of_text(text)}") from None
    if not isinstance(message, dict):
        raise InvalidRequest(f"a text message must be a JSON object{hints.of_text(text)}")
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise InvalidRequest(f"type must be one of {', '.join(_FIELDS)}", pointer="/type")
    for name in message:
        if name not in _FIELDS[kind] and name != "type":
            raise InvalidRequest(f"{kind} has no field {name!r}", pointer=pointer_to(name))
    if kind == "end":
        return End()
    if kind == "part":
        return Part(message.get("at"))
    target_id = parse_id(message.get("id"))
    if kind == "remove_target":
        return RemoveTarget(target_id)
    return SetTarget(target_id, parse_box(message.get("box")))


def parse_id(value: Any, pointer: str = "/id") -> str:
    """Check a target's id: 1 to 64 printable characters. Raises InvalidRequest."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID or not value.isprintable():
        raise InvalidRequest(f"id must be a string of 1 to {MAX_ID} printable characters", pointer=pointer)
    return value


def parse_box(value: Any, pointer: str = "/box") -> tuple[float, float, float, float]:
    """Check a box: four finite numbers x, y, w, h, with w and h at least 1. Raises InvalidBox."""
    if not isinstance(value, list | tuple) or len(value) != 4:
        raise InvalidBox("a box is four numbers x, y, w, h", pointer=pointer)
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in value):
        raise InvalidBox("a box is four numbers x, y, w, h", pointer=pointer)
    try:
        x, y, w, h = map(float, value)
    except OverflowError:
        raise InvalidBox("a box must be four finite numbers", pointer=pointer) from None
    if not all(map(math.isfinite, (x, y, w, h))):
        raise InvalidBox("a box must be four finite numbers", pointer=pointer)
    if w < 1 or h < 1:
        raise InvalidBox(f"a box must be at least 1 pixel wide and high{hints.of_box((x, y, w, h))}", pointer=pointer)
    return x, y, w, h


def parse_corner(value: object, pointer: str = "/at") -> tuple[int, int]:
    """Check a part's top-left corner: two integers x, y of at least 0. Raises InvalidPart."""
    numbers = value if isinstance(value, list) else []
    if len(numbers) != 2 or any(isinstance(each, bool) or not isinstance(each, int) or each < 0 for each in numbers):
        raise InvalidPart("at is two integers x, y of at least 0", pointer=pointer)
    x, y = numbers
    return x, y


def ready(
    session_id: str,
    frame_index: int,
    window: int,
    mode: str,
    connection: str,
    missed: Sequence[str] | None = None,
) -> str:
    """Write the server's first message. `missed`: messages that a resuming client may not have received."""
    extra = {} if missed is None else {"missed": [json.loads(message) for message in missed]}
    return _text(
        type="ready",
        session_id=session_id,
        frame_index=frame_index,
        window=window,
        mode=mode,
        connection=connection,
        parts=True,
        **extra,
    )


def result(message: FrameResult) -> str:
    """Write the answer to a tracked frame."""
    timing = message.timing
    missed = {"missed": message.missed} if message.missed else {}
    return _text(
        type="result",
        seq=message.seq,
        frame_index=message.frame_index,
        targets=[target_fields(target) for target in message.targets],
        timing_ms={name: round(1e3 * getattr(timing, name), 3) for name in ("decode", "queue", "infer", "total")},
        **missed,
    )


def target_fields(target: TargetState) -> dict[str, Any]:
    """Make a target's JSON object, which HTTP and socket share."""
    fields: dict[str, Any] = {
        "id": target.id,
        "box": [round(number, 4) for number in target.box],
        "score": round(target.score, 4),
        "status": target.status,
        "wants": target.wants,
    }
    if target.response_map is not None:
        fields["response_map"] = base64.b64encode(target.response_map).decode("ascii")
        fields["map_box"] = target.map_box
    return fields


def dropped(seq: int) -> str:
    """Write the answer to a dropped frame."""
    return _text(type="dropped", seq=seq)


def error(problem: dict[str, Any], seq: int | None = None) -> str:
    """Write the answer to a failed frame; without `seq`, the complaint about a text message or a box."""
    return _text(type="error", problem=problem) if seq is None else _text(type="error", seq=seq, problem=problem)


def bye() -> str:
    """Write the last message before a clean close."""
    return _text(type="bye")


def _text(**fields: Any) -> str:
    return json.dumps(fields, separators=(",", ":"), allow_nan=False)
