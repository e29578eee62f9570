"""Request bodies, multipart or JSON, read into frames and placements. Every byte here is untrusted."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from service.api.schemas import CreateIn, PlaceIn
from service.errors import InvalidBox, InvalidImage, InvalidRequest, PayloadTooLarge, UnsupportedMedia, pointer_to
from service.sessions.requests import Placement
from service.wire import hints
from service.wire.codec import parse_box, parse_corner, parse_id

Body = TypeVar("Body", bound=BaseModel)

_MAX_PART = 256 * 1024
"""Limit of a multipart text part (`targets`, `box`), in bytes."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A session to start: its first frame, encoded, and the boxes drawn on it. `ttl_s`: the idle time asked for."""

    frame: bytes
    placements: tuple[Placement, ...]
    ttl_s: float | None


async def read_create(request: Request, max_frame_bytes: int) -> CreateRequest:
    """Read the body of a create call. Raises InvalidRequest and its subclasses, UnsupportedMedia, PayloadTooLarge."""
    if _media_type(request) == "application/json":
        body = _validated(CreateIn, await request.body())
        frame = _base64_frame(body.frame, max_frame_bytes)
        if body.targets is None:
            return CreateRequest(frame, (Placement("0", parse_box(body.box), "/box"),), body.ttl_s)
        targets = [(target.id, target.box) for target in body.targets]
        return CreateRequest(frame, _placements(targets), body.ttl_s)
    async with _form(request) as form:
        _only(form, {"frame", "targets", "box", "ttl_s"})
        frame = await _form_frame(form, max_frame_bytes)
        if ("targets" in form) == ("box" in form):
            raise InvalidRequest("give either targets or box", pointer="/targets")
        ttl_s = _ttl(form)
        if "box" in form:
            return CreateRequest(frame, (Placement("0", _text_box(_text(form, "box")), "/box"),), ttl_s)
        return CreateRequest(frame, _placements(_text_targets(_text(form, "targets"))), ttl_s)


async def read_placement(request: Request, target_id: str, max_frame_bytes: int) -> tuple[bytes, Placement]:
    """Read the body of a target's PUT: a frame, and the box drawn on it. Raises as `read_create` does."""
    parse_id(target_id, pointer="/id")
    if _media_type(request) == "application/json":
        body = _validated(PlaceIn, await request.body())
        return _base64_frame(body.frame, max_frame_bytes), Placement(target_id, parse_box(body.box), "/box")
    async with _form(request) as form:
        _only(form, {"frame", "box"})
        frame = await _form_frame(form, max_frame_bytes)
        if "box" not in form:
            raise InvalidRequest("the part box is missing", pointer="/box")
        return frame, Placement(target_id, _text_box(_text(form, "box")), "/box")


async def read_frame(request: Request, max_frame_bytes: int) -> bytes:
    """Read a body that is one encoded image. Raises UnsupportedMedia, PayloadTooLarge."""
    media = _media_type(request)
    if media != "application/octet-stream" and not media.startswith("image/"):
        raise UnsupportedMedia("send the frame with the Content-Type image/* or application/octet-stream")
    return _bounded(await request.body(), max_frame_bytes)


def read_corner(text: str | None) -> tuple[int, int] | None:
    """Read a part's corner, `x,y`; None where there is none. Raises InvalidPart."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,9}),(\d{1,9})", text, re.ASCII)
    return parse_corner([int(number) for number in match.groups()] if match else text)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _form(request: Request) -> Any:
    if _media_type(request) != "multipart/form-data":
        raise UnsupportedMedia("send multipart/form-data or application/json")
    return _Form(request)


class _Form:
    """Context manager for a multipart body: closes its files, and turns its syntax errors into InvalidRequest."""

    def __init__(self, request: Request) -> None:
        self._opening = request.form(max_files=4, max_fields=8, max_part_size=_MAX_PART)

    async def __aenter__(self) -> FormData:
        try:
            return await self._opening.__aenter__()
        except HTTPException as error:
            raise InvalidRequest(f"the multipart body cannot be read: {error.detail}") from None

    async def __aexit__(self, *details: Any) -> None:
        await self._opening.__aexit__(*details)


def _only(form: FormData, names: set[str]) -> None:
    for name in form:
        if name not in names:
            raise InvalidRequest(f"this call has no part {name!r}", pointer=pointer_to(name))
        if len(form.getlist(name)) > 1:
            raise InvalidRequest(f"the part {name} is given more than once", pointer=f"/{name}")


async def _form_frame(form: FormData, max_frame_bytes: int) -> bytes:
    part = form.get("frame")
    if part is None:
        raise InvalidRequest("the part frame is missing", pointer="/frame")
    if not isinstance(part, UploadFile):
        raise InvalidImage("the part frame must be a file", pointer="/frame")
    return _bounded(await part.read(), max_frame_bytes)


def _text(form: FormData, name: str) -> str:
    value = form[name]
    if isinstance(value, UploadFile):
        raise InvalidRequest(f"the part {name} must be text, not a file", pointer=f"/{name}")
    return value


def _ttl(form: FormData) -> float | None:
    if "ttl_s" not in form:
        return None
    try:
        value = float(_text(form, "ttl_s"))
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise InvalidRequest("ttl_s must be a positive number of seconds", pointer="/ttl_s")
    return value


def _text_box(text: str) -> tuple[float, float, float, float]:
    """Parse `x,y,w,h` or `[x,y,w,h]`."""
    parts = text.strip().removeprefix("[").removesuffix("]").split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        raise InvalidBox("a box is four numbers x,y,w,h", pointer="/box") from None
    return parse_box(numbers)


def _text_targets(text: str) -> list[tuple[str | None, Any]]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest("targets must be a JSON array", pointer="/targets") from None
    if not isinstance(rows, list):
        raise InvalidRequest("targets must be a JSON array", pointer="/targets")
    targets = []
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or "box" not in row or row.keys() - {"id", "box"}:
            raise InvalidRequest("a target is an object with box and optionally id", pointer=f"/targets/{index}")
        targets.append((row.get("id"), row["box"]))
    return targets


def _placements(targets: Sequence[tuple[str | None, Any]]) -> tuple[Placement, ...]:
    if not targets:
        raise InvalidRequest("at least one target is needed", pointer="/targets")
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
    for index, name in enumerate(ids):
        if name is None:
            name = next(free for free in map(str, count(index)) if free not in taken)
            taken.add(name)
        names.append(name)
    return names


def _validated(schema: type[Body], data: bytes) -> Body:
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
