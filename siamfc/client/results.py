"""The server's answers as frozen values. Boxes are `[x, y, w, h]` in pixels of the frame as sent, 0-indexed."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from siamfc.client.errors import ProblemError, UnexpectedAnswer
from siamfc.client.pictures import decoded_grey
from siamfc.client.refusals import from_problem

if TYPE_CHECKING:
    from supervision import Detections

Box: TypeAlias = tuple[float, float, float, float]
Part: TypeAlias = tuple[int, int, int, int]
"""A part of a frame: x, y, w, h in whole pixels."""


@dataclass(frozen=True, slots=True)
class Target:
    """One tracked object after a frame.

    score: calibrated probability that the box is right, 0..1. status: "tracking", "uncertain" or "lost".
    response_map: uint8 [H, W], the upscaled correlation map, if it was asked for; map_box: its place in the frame.
    wants: the part of the next frame that the server will read for it; None: the whole frame.
    """

    id: str
    box: Box
    score: float
    status: str
    response_map: NDArray[np.uint8] | None = field(default=None, compare=False)
    map_box: Box | None = None
    wants: Part | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Target:
        """A target from JSON. Raises UnexpectedAnswer if the JSON does not keep the contract."""
        try:
            encoded, map_box, wants = body.get("response_map"), body.get("map_box"), body.get("wants")
            return cls(
                id=str(body["id"]),
                box=_box(body["box"]),
                score=float(body["score"]),
                status=str(body["status"]),
                response_map=None if encoded is None else _map(encoded),
                map_box=None if map_box is None else _box(map_box),
                wants=None if wants is None else _part(wants),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnexpectedAnswer(f"not a target: {error!r}") from error

    def as_json(self) -> dict[str, Any]:
        """`{"id", "box", "score", "status"}`, without the map."""
        return {"id": self.id, "box": list(self.box), "score": self.score, "status": self.status}


class TargetsMixin:
    """The short ways to `targets`: the only one, and those of other tools."""

    __slots__ = ()
    targets: tuple[Target, ...]

    @property
    def target(self) -> Target:
        """The one target. Raises ValueError where the session follows none or several."""
        if len(self.targets) != 1:
            raise ValueError(f"there are {len(self.targets)} targets; say which of `targets`")
        return self.targets[0]

    @property
    def box(self) -> Box:
        """The one target's box. Raises ValueError where the session follows none or several."""
        return self.target.box

    def to_supervision(self) -> Detections:
        """The targets as `supervision.Detections`. Raises ImportError where that package is not installed.

        xyxy: float32 [N, 4], the boxes' corners. confidence: the scores. class_id: 0 for all. tracker_id: the id where
        it is a number, as the ids that a server gives are, else a number made from it. data: `target` (ids), `status`.
        """
        from siamfc.exports.supervision import detections

        return detections(self.targets)


@dataclass(frozen=True, slots=True)
class Result(TargetsMixin):
    """The answer to a frame.

    seq: the frame's number in the stream, from 0, over any number of reconnects. frame_index: the number of frames that
    the server has counted for the session. timing_ms: the server's decode, queue, infer and total times in
    milliseconds; empty if the answer was lost with a connection and read from the session's state. refused: the errors
    of `set_target` and `remove_target` messages that the server refused since the answer before. missed: ids of the
    targets of whose `wants` the part that was sent did not show everything.
    """

    seq: int
    frame_index: int
    targets: tuple[Target, ...]
    timing_ms: Mapping[str, float] = field(default_factory=dict)
    refused: tuple[ProblemError, ...] = ()
    missed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dropped:
    """The server skipped the frame, because a newer one had come (mode "latest")."""

    seq: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The frame failed and was not counted; the session goes on. `problem` says why."""

    seq: int
    problem: ProblemError


Answer: TypeAlias = Result | Dropped | Failed


@dataclass(frozen=True, slots=True)
class SessionState(TargetsMixin):
    """A session's state on the server after `frame_index` counted frames. Times are UTC."""

    session_id: str
    frame_index: int
    frame_size: tuple[int, int]
    targets: tuple[Target, ...]
    created_at: datetime
    expires_at: datetime

    @classmethod
    def parse(cls, body: Any) -> SessionState:
        """A session from JSON. Raises UnexpectedAnswer if the JSON does not keep the contract."""
        try:
            width, height = body["frame_size"]
            return cls(
                session_id=str(body["session_id"]),
                frame_index=int(body["frame_index"]),
                frame_size=(int(width), int(height)),
                targets=tuple(map(Target.parse, body["targets"])),
                created_at=datetime.fromisoformat(body["created_at"]),
                expires_at=datetime.fromisoformat(body["expires_at"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnexpectedAnswer(f"not a session: {error!r}") from error


def parse_answer(body: Mapping[str, Any], seq: int, refused: tuple[ProblemError, ...] = ()) -> Answer:
    """The answer to frame `seq` of the stream. Raises UnexpectedAnswer if it does not keep the contract."""
    kind = body.get("type")
    if kind == "dropped":
        return Dropped(seq)
    try:
        if kind == "error":
            return Failed(seq, from_problem(body["problem"]))
        if kind == "result":
            timing = {str(name): float(value) for name, value in (body.get("timing_ms") or {}).items()}
            targets = tuple(map(Target.parse, body["targets"]))
            missed = tuple(map(str, body.get("missed") or ()))
            return Result(seq, int(body["frame_index"]), targets, timing, refused, missed)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnexpectedAnswer(f"not an answer: {error!r}") from error
    raise UnexpectedAnswer(f"no such answer: {kind!r}")


def parse_message(message: str | bytes) -> dict[str, Any]:
    """The server's message, a JSON object. Raises UnexpectedAnswer for anything else."""
    if isinstance(message, bytes):
        raise UnexpectedAnswer("the server sent a binary message")
    try:
        body = json.loads(message)
    except ValueError as error:
        raise UnexpectedAnswer(f"not JSON: {message[:80]!r}") from error
    if not isinstance(body, dict):
        raise UnexpectedAnswer(f"not a message: {message[:80]!r}")
    return body


def _box(values: Any) -> Box:
    x, y, w, h = (float(value) for value in values)
    if not all(map(math.isfinite, (x, y, w, h))):
        raise ValueError("a box must be finite")
    return x, y, w, h


def _part(values: Any) -> Part:
    x, y, w, h = map(int, values)
    if x < 0 or y < 0 or w < 1 or h < 1:
        raise ValueError(f"not a part of a frame: {values}")
    return x, y, w, h


def _map(encoded: str) -> NDArray[np.uint8]:
    return decoded_grey(base64.b64decode(encoded, validate=True))
