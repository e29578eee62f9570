"""Request bodies, multipart or JSON, read into frames and placements. Every byte here is untrusted.

Counts come before contents: a body with more parts, values or targets than a call can have is refused before one of
them is looked at. A large body is read in a thread, so that the event loop goes on.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from service.api.multipart import MediaType, Part, read_form
from service.api.schemas import CreateIn, PlaceIn
from service.errors import (
    InvalidBox,
    InvalidImage,
    InvalidRequest,
    PayloadTooLarge,
    TooManyTargets,
    UnsupportedMedia,
    pointer_to,
)
from service.sessions.decode_pool import DecodePool
from service.sessions.requests import Placement
from service.wire import hints
from service.wire.codec import parse_box, parse_corner, parse_id

Body = TypeVar("Body", bound=BaseModel)
Made = TypeVar("Made")

_FORMS = frozenset({"application/json", "multipart/form-data"})

_LARGE = 256 * 1024
"""A body with more bytes is read in a thread."""

_VALUES_A_TARGET = 80
"""Limit of a JSON body's values for every target allowed: the target's own, and commas in its id."""

_FURTHER_VALUES = 64
"""Limit of a JSON body's values beside its targets."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Limits on a request's body: bytes of its encoded frame, and targets."""

    frame_bytes: int
    targets: int


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A session to start: its first frame, encoded, and the boxes drawn on it. `ttl_s`: the idle time asked for."""

    frame: bytes
    placements: tuple[Placement, ...]
    ttl_s: float | None


class BodyReader:
    """Reads the bodies of calls; large ones in the threads that decode frames, within the caller's share of them."""

    def __init__(self, limits: BodyLimits, threads: DecodePool) -> None:
        self._limits, self._threads = limits, threads

    async def create(self, request: Request, caller: str = "") -> CreateRequest:
        """Read the body of a create call.

        Raises InvalidRequest and its subclasses, UnsupportedMedia, PayloadTooLarge, ShuttingDown.
        """
        return await self._parsed(request, caller, parse_create)

    async def placement(self, request: Request, target_id: str, caller: str = "") -> tuple[bytes, Placement]:
        """Read the body of a target's PUT: a frame, and the box drawn on it. Raises as `create` does."""
        return await self._parsed(request, caller, functools.partial(parse_placement, target_id=target_id))

    async def frame(self, request: Request) -> bytes:
        """Read a body that is one encoded image. Raises UnsupportedMedia, PayloadTooLarge."""
        return parse_frame(await request.body(), _media_type(request), self._limits)

    async def _parsed(
        self, request: Request, caller: str, parse: Callable[[bytes, MediaType, BodyLimits], Made]
    ) -> Made:
        media = _media_type(request)
        if media.name not in _FORMS:
            raise UnsupportedMedia("send multipart/form-data or application/json")
        body = await request.body()
        if len(body) <= _LARGE:
            return parse(body, media, self._limits)
        return await self._threads.run(caller, parse, body, media, self._limits)


def parse_create(body: bytes, media: MediaType, limits: BodyLimits) -> CreateRequest:
    """Parse the body of a create call. Raises InvalidRequest and its subclasses, PayloadTooLarge."""
    if media.name == "application/json":
        fields = _validated(CreateIn, body, limits.targets)
        if fields.targets is None:
            placements: tuple[Placement, ...] = (Placement("0", parse_box(fields.box), "/box"),)
        else:
            targets = [(target.id, target.box) for target in fields.targets]
            placements = _placements(targets, limits.targets)
        return CreateRequest(_base64_frame(fields.frame, limits.frame_bytes), placements, fields.ttl_s)
    form = _form(body, media, {"frame", "targets", "box", "ttl_s"})
    frame = _form_frame(form, limits.frame_bytes)
    if ("targets" in form) == ("box" in form):
        raise InvalidRequest("give either targets or box", pointer="/targets")
    ttl_s = _ttl(form)
    if "box" in form:
        return CreateRequest(frame, (Placement("0", _text_box(form["box"].text), "/box"),), ttl_s)
    return CreateRequest(frame, _placements(_text_targets(form["targets"].text, limits.targets), limits.targets), ttl_s)


def parse_placement(body: bytes, media: MediaType, limits: BodyLimits, *, target_id: str) -> tuple[bytes, Placement]:
    """Parse the body of a target's PUT. Raises as `parse_create` does."""
    parse_id(target_id, pointer="/id")
    if media.name == "application/json":
        fields = _validated(PlaceIn, body, 1)
        frame = _base64_frame(fields.frame, limits.frame_bytes)
        return frame, Placement(target_id, parse_box(fields.box), "/box")
    form = _form(body, media, {"frame", "box"})
    frame = _form_frame(form, limits.frame_bytes)
    if "box" not in form:
        raise InvalidRequest("the part box is missing", pointer="/box")
    return frame, Placement(target_id, _text_box(form["box"].text), "/box")


def parse_frame(body: bytes, media: MediaType, limits: BodyLimits) -> bytes:
    """Check a body that is one encoded image. Raises UnsupportedMedia, PayloadTooLarge."""
    if media.name != "application/octet-stream" and not media.name.startswith("image/"):
        raise UnsupportedMedia("send the frame with the Content-Type image/* or application/octet-stream")
    return _bounded(body, limits.frame_bytes)


def read_corner(text: str | None) -> tuple[int, int] | None:
    """Read a part's corner, `x,y`; None where there is none. Raises InvalidPart."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,9}),(\d{1,9})", text, re.ASCII)
    return parse_corner([int(number) for number in match.groups()] if match else text)


def _media_type(request: Request) -> MediaType:
    return MediaType.parse(request.headers.get("content-type", ""))


def _form(body: bytes, media: MediaType, names: set[str]) -> dict[str, Part]:
    form = read_form(body, media.parameters.get("boundary"))
    for name in form:
        if name not in names:
            raise InvalidRequest(f"this call has no part {name!r}", pointer=pointer_to(name))
    return form


def _form_frame(form: dict[str, Part], max_frame_bytes: int) -> bytes:
    if "frame" not in form:
        raise InvalidRequest("the part frame is missing", pointer="/frame")
    if not form["frame"].is_file:
        raise InvalidImage("the part frame must be a file", pointer="/frame")
    return _bounded(form["frame"].data, max_frame_bytes)


def _ttl(form: dict[str, Part]) -> float | None:
    if "ttl_s" not in form:
        return None
    try:
        value = float(form["ttl_s"].text)
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise InvalidRequest("ttl_s must be a positive number of seconds", pointer="/ttl_s")
    return value


def _text_box(text: str) -> tuple[float, float, float, float]:
    """Parse `x,y,w,h` or `[x,y,w,h]`."""
    parts = text.strip().removeprefix("[").removesuffix("]").split(",", 4)
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        raise InvalidBox("a box is four numbers x,y,w,h", pointer="/box") from None
    return parse_box(numbers)


def _check_values(count: int, targets: int, pointer: str) -> None:
    """Refuse JSON of more values, by its commas and brackets, than that many targets can need."""
    most = _FURTHER_VALUES + _VALUES_A_TARGET * targets
    if count > most:
        detail = f"the body has more values than a call with {targets} targets can have, {most}"
        raise InvalidRequest(detail, pointer=pointer)


def _text_targets(text: str, most: int) -> list[tuple[str | None, Any]]:
    _check_values(sum(map(text.count, ",[{")), most, "/targets")
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest("targets must be a JSON array", pointer="/targets") from None
    if not isinstance(rows, list):
        raise InvalidRequest("targets must be a JSON array", pointer="/targets")
    _check_count(len(rows), most)
    targets = []
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or "box" not in row or row.keys() - {"id", "box"}:
            raise InvalidRequest("a target is an object with box and optionally id", pointer=f"/targets/{index}")
        targets.append((row.get("id"), row["box"]))
    return targets


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise TooManyTargets(f"a session may follow at most {most} targets")


def _placements(targets: Sequence[tuple[str | None, Any]], most: int) -> tuple[Placement, ...]:
    if not targets:
        raise InvalidRequest("at least one target is needed", pointer="/targets")
    _check_count(len(targets), most)
    names = _named(
        [
            None if target_id is None else parse_id(target_id, f"/targets/{index}/id")
            for index, (target_id, _) in enumerate(targets)
        ]
    )
    return tuple(
        Placement(name, parse_box(box, f"/targets/{index}/box"), f"/targets/{index}/box")
        for index, (name, (_, box)) in enumerate(zip(names, targets, strict=True))
    )


def _named(ids: Sequence[str | None]) -> list[str]:
    """Give every target of a request an id: its own, else its position ("0", "1", …), else the next free number."""
    taken: set[str] = set()
    for index, name in enumerate(ids):
        if name in taken:
            raise InvalidRequest(f"two targets have the id {name!r}", pointer=f"/targets/{index}/id")
        if name is not None:
            taken.add(name)
    names = []
    free = 0
    for index, name in enumerate(ids):
        if name is None:
            # All numbers from the last target's position up to `free` are taken, so the search never goes back.
            free = max(free, index)
            while str(free) in taken:
                free += 1
            name = str(free)
            taken.add(name)
        names.append(name)
    return names


def _validated(schema: type[Body], data: bytes, targets: int) -> Body:
    _check_values(sum(map(data.count, (b",", b"[", b"{"))), targets, "")
    try:
        return schema.model_validate_json(data)
    except ValidationError as error:
        faults = tuple(
            (pointer_to(*fault["loc"]), fault["msg"].removeprefix("Value error, "))
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise InvalidRequest("the body's fields are not those of this call", faults=faults) from None


def _base64_frame(text: str, max_frame_bytes: int) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidImage(f"frame is not base64{hints.of_base64(text)}", pointer="/frame") from None
    return _bounded(data, max_frame_bytes)


def _bounded(data: bytes, max_frame_bytes: int) -> bytes:
    if len(data) > max_frame_bytes:
        raise PayloadTooLarge(f"a frame may have at most {max_frame_bytes} bytes; this one has {len(data)}")
    return data
