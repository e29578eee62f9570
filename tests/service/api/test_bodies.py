"""Request bodies, multipart and JSON, read from requests built by hand."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from service.api import bodies
from service.api.bodies import BodyLimits, BodyReader, CreateRequest
from service.errors import (
    InvalidBox,
    InvalidImage,
    InvalidRequest,
    PayloadTooLarge,
    ServiceError,
    TooManyTargets,
    UnsupportedMedia,
)
from service.sessions.decode_pool import DecodePool
from service.sessions.requests import Placement

pytestmark = pytest.mark.anyio

IMAGE = b"\x89PNG not really"
FRAME = base64.b64encode(IMAGE).decode()
MOST = 1000
MOST_TARGETS = 4
BOX = [1, 2, 3, 4]
Parts = dict[str, Any]


def request(content: bytes, media: str | None) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    headers = [] if media is None else [(b"content-type", media.encode())]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers, "app": None}, receive)


def as_json(body: Any) -> Request:
    return request(json.dumps(body).encode(), "application/json")


def as_form(parts: list[tuple[str, Any]]) -> Request:
    """Text parts are strings, files are bytes."""
    files = [(name, ("f", part) if isinstance(part, bytes) else (None, part)) for name, part in parts]
    made = httpx.Request("POST", "http://test/", files=files)
    return request(made.read(), made.headers["content-type"])


@contextmanager
def reader() -> Iterator[BodyReader]:
    with DecodePool(2) as threads:
        yield BodyReader(BodyLimits(MOST, MOST_TARGETS), threads)


async def create(made: Request) -> CreateRequest:
    with reader() as made_reader:
        return await made_reader.create(made)


def placement(name: str, pointer: str, box: tuple[float, ...] = (1, 2, 3, 4)) -> Placement:
    return Placement(name, box, pointer)


ACCEPTED = [
    pytest.param(as_json({"frame": FRAME, "box": BOX}), (placement("0", "/box"),), None, id="json-box"),
    pytest.param(
        as_json({"frame": FRAME, "targets": [{"box": BOX}, {"id": "cat", "box": BOX}], "ttl_s": 5}),
        (placement("0", "/targets/0/box"), placement("cat", "/targets/1/box")),
        5.0,
        id="json-targets",
    ),
    pytest.param(as_form([("frame", IMAGE), ("box", "1,2,3,4")]), (placement("0", "/box"),), None, id="form-box"),
    pytest.param(
        as_form([("box", " [1, 2, 3, 4] "), ("frame", IMAGE), ("ttl_s", "2.5")]),
        (placement("0", "/box"),),
        2.5,
        id="form-box-in-brackets",
    ),
    pytest.param(
        as_form([("frame", IMAGE), ("targets", json.dumps([{"id": None, "box": BOX}, {"box": [0, 0, 1, 1]}]))]),
        (placement("0", "/targets/0/box"), placement("1", "/targets/1/box", (0, 0, 1, 1))),
        None,
        id="form-targets",
    ),
]


@pytest.mark.parametrize(("made", "placements", "ttl_s"), ACCEPTED)
async def test_create(made: Request, placements: tuple[Placement, ...], ttl_s: float | None) -> None:
    assert await create(made) == CreateRequest(IMAGE, placements, ttl_s)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        pytest.param([None, None, None], ["0", "1", "2"], id="none-given"),
        pytest.param(["a", None], ["a", "1"], id="by-position"),
        pytest.param(["1", None], ["1", "2"], id="position-taken-before"),
        pytest.param([None, "0"], ["1", "0"], id="position-taken-after"),
        pytest.param(["0", None, "1"], ["0", "2", "1"], id="next-taken-too"),
        pytest.param([None, None, "0", "1"], ["2", "3", "0", "1"], id="two-displaced"),
    ],
)
async def test_names(given: list[str | None], named: list[str]) -> None:
    targets = [{"box": BOX} if name is None else {"id": name, "box": BOX} for name in given]
    for made in (
        as_json({"frame": FRAME, "targets": targets}),
        as_form([("frame", IMAGE), ("targets", json.dumps(targets))]),
    ):
        assert [each.id for each in (await create(made)).placements] == named


REFUSED = [
    pytest.param(request(b"{", "application/json"), InvalidRequest, "", id="broken-json"),
    pytest.param(request(b"[" * 50_000, "application/json"), InvalidRequest, "", id="deep-json"),
    pytest.param(as_json([]), InvalidRequest, "", id="json-list"),
    pytest.param(as_json({"box": BOX}), InvalidRequest, "/frame", id="json-no-frame"),
    pytest.param(as_json({"frame": FRAME}), InvalidRequest, "", id="json-no-box"),
    pytest.param(as_json({"frame": FRAME, "box": BOX, "targets": []}), InvalidRequest, "", id="json-both"),
    pytest.param(as_json({"frame": FRAME, "targets": []}), InvalidRequest, "/targets", id="json-no-targets"),
    pytest.param(as_json({"frame": FRAME, "box": BOX, "a/b": 1}), InvalidRequest, "/a~1b", id="json-field-too-many"),
    pytest.param(as_json({"frame": "$$$", "box": BOX}), InvalidImage, "/frame", id="not-base64"),
    pytest.param(as_json({"frame": "é", "box": BOX}), InvalidImage, "/frame", id="not-ascii"),
    pytest.param(as_json({"frame": FRAME, "box": [1, 2, 3]}), InvalidBox, "/box", id="json-box-of-three"),
    pytest.param(
        as_json({"frame": FRAME, "targets": [{"box": BOX}, {"box": [1, 2, 0, 4]}]}),
        InvalidBox,
        "/targets/1/box",
        id="json-second-box",
    ),
    pytest.param(
        as_json({"frame": FRAME, "targets": [{"id": "a", "box": BOX}, {"id": "a", "box": BOX}]}),
        InvalidRequest,
        "/targets/1/id",
        id="json-name-twice",
    ),
    pytest.param(
        as_json({"frame": FRAME, "targets": [{"id": "\n", "box": BOX}]}),
        InvalidRequest,
        "/targets/0/id",
        id="json-unprintable-name",
    ),
    pytest.param(as_json({"frame": FRAME, "box": BOX, "ttl_s": 0}), InvalidRequest, "/ttl_s", id="json-ttl"),
    pytest.param(request(b"x", "multipart/form-data"), InvalidRequest, None, id="form-without-boundary"),
    pytest.param(request(b"--b\r\nx", "multipart/form-data; boundary=b"), InvalidRequest, "/frame", id="cut-off-form"),
    pytest.param(as_form([("box", "1,2,3,4")]), InvalidRequest, "/frame", id="form-no-frame"),
    pytest.param(as_form([("frame", "text"), ("box", "1,2,3,4")]), InvalidImage, "/frame", id="form-frame-is-text"),
    pytest.param(as_form([("frame", IMAGE)]), InvalidRequest, "/targets", id="form-no-box"),
    pytest.param(as_form([("frame", IMAGE), ("box", b"1,2,3,4")]), InvalidRequest, "/box", id="form-box-is-a-file"),
    pytest.param(as_form([("frame", IMAGE), ("box", "a,b,c,d")]), InvalidBox, "/box", id="form-box-of-words"),
    pytest.param(as_form([("frame", IMAGE), ("box", "1,2,3,nan")]), InvalidBox, "/box", id="form-box-nan"),
    pytest.param(
        as_form([("frame", IMAGE), ("box", "1,2,3,4"), ("targets", "[]")]), InvalidRequest, "/targets", id="form-both"
    ),
    pytest.param(as_form([("frame", IMAGE), ("frame", IMAGE)]), InvalidRequest, "/frame", id="form-two-frames"),
    pytest.param(as_form([("frame", IMAGE), ("a/b", "1")]), InvalidRequest, "/a~1b", id="form-part-too-many"),
    pytest.param(as_form([("frame", IMAGE), ("targets", "{")]), InvalidRequest, "/targets", id="form-targets-not-json"),
    pytest.param(as_form([("frame", IMAGE), ("targets", "{}")]), InvalidRequest, "/targets", id="form-targets-object"),
    pytest.param(
        as_form([("frame", IMAGE), ("targets", "[1]")]), InvalidRequest, "/targets/0", id="form-target-number"
    ),
    pytest.param(
        as_form([("frame", IMAGE), ("targets", '[{"box":[1,2,3,4],"x":1}]')]),
        InvalidRequest,
        "/targets/0",
        id="form-target-field-too-many",
    ),
    pytest.param(
        as_form([("frame", IMAGE), ("targets", "[" * 100_000)]), InvalidRequest, "/targets", id="form-deep-targets"
    ),
    pytest.param(
        as_form([("frame", IMAGE), ("targets", "[" + " " * 300_000 + "]")]),
        InvalidRequest,
        None,
        id="form-part-too-long",
    ),
    pytest.param(
        as_form([("frame", IMAGE), ("box", "1,2,3,4"), ("ttl_s", "inf")]), InvalidRequest, "/ttl_s", id="form-ttl"
    ),
    pytest.param(as_form([(f"f{k}", b"x") for k in range(9)]), InvalidRequest, None, id="form-files-too-many"),
    pytest.param(as_form([(f"f{k}", "x") for k in range(99)]), InvalidRequest, None, id="form-parts-too-many"),
    pytest.param(request(IMAGE, "image/png"), UnsupportedMedia, None, id="bare-image"),
    pytest.param(request(b"box=1", "application/x-www-form-urlencoded"), UnsupportedMedia, None, id="urlencoded"),
    pytest.param(request(b"x", None), UnsupportedMedia, None, id="no-type"),
]


def pointers(error: ServiceError) -> list[str | None]:
    further = [pointer for pointer, _ in error.faults] if isinstance(error, InvalidRequest) else []
    return [error.pointer, *further] if error.pointer is not None or not further else list(further)


@pytest.mark.parametrize(("made", "error", "pointer"), REFUSED)
async def test_refused_creations(made: Request, error: type[ServiceError], pointer: str | None) -> None:
    with pytest.raises(error) as caught:
        await create(made)
    assert type(caught.value) is error
    assert pointers(caught.value) == [pointer]


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(as_json({"frame": base64.b64encode(bytes(MOST + 1)).decode(), "box": BOX}), id="json"),
        pytest.param(as_form([("frame", bytes(MOST + 1)), ("box", "1,2,3,4")]), id="form"),
    ],
)
async def test_frames_with_too_many_bytes(made: Request) -> None:
    with pytest.raises(PayloadTooLarge, match="1000"):
        await create(made)


@given(st.binary(max_size=200), st.sampled_from(["application/json", "multipart/form-data; boundary=b", "image/png"]))
def test_arbitrary_bytes_raise_nothing_else(content: bytes, media: str) -> None:
    with pytest.raises(ServiceError):
        asyncio.run(create(request(content, media)))


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(as_json({"frame": FRAME, "box": BOX}), id="json"),
        pytest.param(as_form([("frame", IMAGE), ("box", "1,2,3,4")]), id="form"),
    ],
)
async def test_placements(made: Request) -> None:
    with reader() as made_reader:
        assert await made_reader.placement(made, "cat") == (IMAGE, placement("cat", "/box"))


@pytest.mark.parametrize(
    ("made", "name", "error"),
    [
        pytest.param(as_json({"frame": FRAME, "box": BOX}), "x" * 65, InvalidRequest, id="endless-name"),
        pytest.param(as_json({"frame": FRAME}), "0", InvalidRequest, id="json-no-box"),
        pytest.param(as_json({"frame": FRAME, "targets": [{"box": BOX}]}), "0", InvalidRequest, id="json-targets"),
        pytest.param(as_form([("frame", IMAGE)]), "0", InvalidRequest, id="form-no-box"),
        pytest.param(
            as_form([("frame", IMAGE), ("ttl_s", "1"), ("box", "1,2,3,4")]), "0", InvalidRequest, id="form-ttl"
        ),
        pytest.param(as_json({"frame": FRAME, "box": [1, 2, 3, 0]}), "0", InvalidBox, id="flat-box"),
        pytest.param(request(IMAGE, "image/png"), "0", UnsupportedMedia, id="bare-image"),
    ],
)
async def test_refused_placements(made: Request, name: str, error: type[ServiceError]) -> None:
    with reader() as made_reader, pytest.raises(error) as caught:
        await made_reader.placement(made, name)
    assert type(caught.value) is error


@pytest.mark.parametrize("media", ["image/jpeg", "IMAGE/PNG", "image/webp; q=1", "image/anything"])
async def test_a_frame_is_the_body(media: str) -> None:
    with reader() as made_reader:
        assert await made_reader.frame(request(IMAGE, media)) == IMAGE


@pytest.mark.parametrize(
    ("content", "media", "error"),
    [
        pytest.param(IMAGE, "text/plain", UnsupportedMedia, id="text"),
        pytest.param(IMAGE, None, UnsupportedMedia, id="no-type"),
        pytest.param(bytes(MOST + 1), "image/png", PayloadTooLarge, id="too-long"),
    ],
)
async def test_refused_frames(content: bytes, media: str | None, error: type[ServiceError]) -> None:
    with reader() as made_reader, pytest.raises(error):
        await made_reader.frame(request(content, media))


MANY = [{"id": str(k), "box": BOX} for k in range(MOST_TARGETS + 1)]


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(as_json({"frame": FRAME, "targets": MANY}), id="json"),
        pytest.param(as_form([("frame", IMAGE), ("targets", json.dumps(MANY))]), id="form"),
        # Counted before it is seen that they are no targets.
        pytest.param(as_form([("frame", IMAGE), ("targets", json.dumps([1] * 9))]), id="form-of-numbers"),
    ],
)
async def test_more_targets_than_allowed(made: Request) -> None:
    with pytest.raises(TooManyTargets, match=str(MOST_TARGETS)):
        await create(made)


async def test_more_values_than_a_call_can_have() -> None:
    with pytest.raises(InvalidRequest, match="more values") as caught:
        await create(as_json({"frame": FRAME, "targets": [1] * 10_000}))
    assert caught.value.faults == ()


async def test_as_many_targets_as_allowed_whatever_their_names() -> None:
    targets = [{"id": "," * 63 + str(k), "box": BOX} for k in range(MOST_TARGETS)]
    made = await create(as_json({"frame": FRAME, "targets": targets}))
    assert [each.id for each in made.placements] == [target["id"] for target in targets]


async def test_a_large_body_is_read_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    read_in: list[str] = []
    parse = bodies.parse_create

    def noted(*arguments: Any) -> CreateRequest:
        read_in.append(threading.current_thread().name)
        return parse(*arguments)

    monkeypatch.setattr(bodies, "parse_create", noted)
    for size in (10, 300_000):
        with pytest.raises(InvalidRequest):
            await create(as_json({"x": "x" * size}))
    assert [name.startswith("decode-") for name in read_in] == [False, True]
