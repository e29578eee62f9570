"""Encodes sessions as bytes for a shared store. Every value carries a format version.

States and facts are JSON, whose floats come back exactly. Exemplars are raw fp16 values and a PNG of the crop. A
replica can read what another release wrote if the format version is the same: it ignores unknown fields, and missing
fields take their defaults.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from datetime import datetime
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.boxes import Box
from model.tracker import Track
from service.errors import IncompatibleReplica
from service.sessions.stores.store import Exemplar, Facts, FrameAnswer, Geometry, State, StoredTarget

VERSION = 1
_TRACK_FIELDS = tuple(field.name for field in dataclasses.fields(Track) if field.name != "box")
_LENGTH = struct.Struct("<BI")


def pack_facts(facts: Facts) -> bytes:
    """Encode facts as JSON."""
    return _json(
        id=facts.session_id,
        owner=facts.owner,
        size=facts.frame_size,
        ttl_s=facts.ttl_s,
        created_at=facts.created_at.isoformat(),
    )


def unpack_facts(data: bytes) -> Facts:
    """Decode the bytes of `pack_facts`. Raises IncompatibleReplica."""
    body = _parsed(data)
    width, height = body["size"]
    return Facts(body["id"], body["owner"], (width, height), body["ttl_s"], datetime.fromisoformat(body["created_at"]))


def pack_state(state: State) -> bytes:
    """Encode a state as JSON."""
    targets = [
        {
            "id": target.id,
            "exemplar": target.exemplar,
            "box": target.track.box.as_list(),
            "track": {name: getattr(target.track, name) for name in _TRACK_FIELDS},
        }
        for target in state.targets
    ]
    return _json(index=state.frame_index, targets=targets, expires_at=state.expires_at.isoformat())


def unpack_state(data: bytes) -> State:
    """Decode the bytes of `pack_state` to an equal state. Raises IncompatibleReplica."""
    body = _parsed(data)
    targets = tuple(
        StoredTarget(
            each["id"],
            Track(
                box=Box(*each["box"]),
                **{name: _frozen(value) for name, value in each["track"].items() if name in _TRACK_FIELDS},
            ),
            each["exemplar"],
        )
        for each in body["targets"]
    )
    return State(body["index"], targets, datetime.fromisoformat(body["expires_at"]))


def pack_exemplar(exemplar: Exemplar) -> bytes:
    """Encode an exemplar: header, fp16 values, the crop as PNG."""
    header = _json(
        weights=exemplar.weights,
        size=exemplar.geometry.exemplar_size,
        context=exemplar.geometry.context,
        shape=exemplar.embedding.shape,
    )
    crop = cv2.imencode(".png", exemplar.crop, (cv2.IMWRITE_PNG_COMPRESSION, 3))[1].tobytes()
    return _LENGTH.pack(VERSION, len(header)) + header + exemplar.embedding.astype("<f2").tobytes() + crop


def unpack_exemplar(data: bytes) -> Exemplar:
    """Decode the bytes of `pack_exemplar` to an equal exemplar. Raises IncompatibleReplica."""
    version, length = _LENGTH.unpack_from(data)
    if version != VERSION:
        raise _other_version(version)
    header = _parsed(data[_LENGTH.size : _LENGTH.size + length])
    at = _LENGTH.size + length
    count = int(np.prod(header["shape"]))
    embedding = np.frombuffer(data, "<f2", count, at).reshape(header["shape"])
    crop: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8, offset=at + 2 * count), cv2.IMREAD_COLOR)
    assert crop is not None, "an exemplar's crop cannot be read"
    geometry = Geometry(header["size"], header["context"])
    return Exemplar(header["weights"], geometry, embedding.astype(np.float16), crop.astype(np.uint8))


def pack_answer(token: str, answer: FrameAnswer) -> bytes:
    """Encode an answer of the connection `token`."""
    return json.dumps([token, answer.seq, answer.messages], separators=(",", ":")).encode()


def unpack_answer(data: bytes) -> tuple[str, FrameAnswer]:
    """Decode the bytes of `pack_answer`: the connection's token and its answer."""
    token, seq, messages = json.loads(data)
    return token, FrameAnswer(seq, tuple(messages))


def _json(**fields: Any) -> bytes:
    return json.dumps({"v": VERSION, **fields}, separators=(",", ":"), allow_nan=False).encode()


def _parsed(data: bytes) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(data)
    if body.get("v") != VERSION:
        raise _other_version(body.get("v"))
    return body


def _other_version(version: object) -> IncompatibleReplica:
    return IncompatibleReplica(f"the session was written in version {version}; this replica reads {VERSION}")


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
