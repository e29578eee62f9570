"""Sessions that send parts of frames, blocking and asyncio, to a server that takes them."""

from __future__ import annotations

import asyncio
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.clients import BOX, JPEG, MakeClient, followed
from tests.support.fake_server import FakeServer

SIZE = (64, 48)
PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def shape(data: bytes) -> tuple[int, int]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    height, width = image.shape[:2]
    return width, height


@pytest.fixture(autouse=True)
def _parts(server: FakeServer) -> None:
    server.script.parts = True


def wants(x: int) -> tuple[list[int], tuple[int, int]]:
    """Corner and size of what the fake server wants of the box at (x, 20)."""
    left = (x - 4) // 2 * 2
    return [left, 16], (x + 8 + 4 - left, 14)


def test_updates_send_what_the_last_answer_wanted(make: MakeClient, server: FakeServer) -> None:
    async def scenario() -> None:
        async with make(encoding=".png") as client, await client.start(PIXELS, BOX) as session:
            boxes = [(await session.update(PIXELS)).box[0] for _ in range(4)]
            assert boxes == [11, 12, 13, 14]
            assert session.last.target.wants == (10, 16, 16, 14)
            assert (session.traffic.frames, session.traffic.parts) == (4, 3)
            assert session.traffic.bytes_saved > 10 * session.traffic.parts * 16 * 14

    asyncio.run(scenario())
    # The session's own answer said nothing of parts: its first frame is whole.
    sent = [(None, SIZE), *(wants(x) for x in (11, 12, 13))]
    sent = [(corner, (size[0] + size[0] % 2, size[1])) if corner else (corner, size) for corner, size in sent]
    assert list(zip(server.corners, map(shape, server.frames), strict=True)) == sent
    whole = cv2.imdecode(np.frombuffer(server.frames[0], np.uint8), cv2.IMREAD_COLOR)
    part = cv2.imdecode(np.frombuffer(server.frames[2], np.uint8), cv2.IMREAD_COLOR)
    assert part is not None
    np.testing.assert_array_equal(whole, PIXELS)
    np.testing.assert_array_equal(part, PIXELS[16:30, 8 : 8 + part.shape[1]])


@pytest.mark.parametrize("mode", ["every", "latest"])
def test_streams_send_wider_parts(make: MakeClient, server: FakeServer, mode: str) -> None:
    async def scenario() -> None:
        async with make(encoding=".png") as client, await client.start(PIXELS, BOX) as session:
            await session.update(PIXELS)
            answers = await followed(session, [PIXELS] * 9, mode=mode)
            assert [answer.box[0] for answer in answers] == list(range(12, 21))
            assert session.traffic.parts >= 3

    asyncio.run(scenario())
    for number, (corner, data) in enumerate(zip(server.corners[1:], server.frames[1:], strict=True)):
        if corner is None:
            # With many frames under way, no part of so small a frame saves anything.
            continue
        # The part shows the target with its margin, however many answers had come when it was cut.
        x, (width, height) = 11 + number, shape(data)
        assert corner[0] <= x - 4
        assert corner[0] + width >= min(SIZE[0], x + 8 + 4)
        assert (corner[1] <= 16, height >= 14) == (True, True)


def test_never_means_never(make: MakeClient, server: FakeServer) -> None:
    async def scenario() -> None:
        async with make(parts="never") as client, await client.start(PIXELS, BOX) as session:
            for _ in range(3):
                await session.update(PIXELS)
            assert session.traffic.parts == 0

    asyncio.run(scenario())
    assert server.corners == [None] * 3
    assert server.controls == []


def test_a_server_that_takes_none_gets_none(make: MakeClient, server: FakeServer) -> None:
    server.script.parts = False

    async def scenario() -> None:
        async with make() as client, await client.start(PIXELS, BOX) as session:
            for _ in range(3):
                await session.update(PIXELS)

    asyncio.run(scenario())
    assert (server.corners, server.controls) == ([None] * 3, [])


def test_bytes_are_sent_whole(make: MakeClient, server: FakeServer) -> None:
    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            for _ in range(3):
                await session.update(JPEG)

    asyncio.run(scenario())
    assert (server.corners, server.frames) == ([None] * 3, [JPEG] * 3)


def test_a_frame_with_a_box_drawn_on_it_is_whole(make: MakeClient, server: FakeServer) -> None:
    async def scenario() -> None:
        async with make() as client, await client.start(PIXELS, BOX) as session:
            await session.update(PIXELS)
            await session.set_target("new", (30, 20, 8, 6))
            await session.update(PIXELS)
            await session.update(PIXELS)

    asyncio.run(scenario())
    assert [corner is None for corner in server.corners] == [True, True, False]
    # One part holds both.
    assert shape(server.frames[2])[0] >= 30


def test_a_part_is_announced_again_after_a_reconnect(make: MakeClient, server: FakeServer) -> None:
    server.script.cut_unread = {2}

    async def scenario() -> None:
        async with make(encoding=".png") as client, await client.start(PIXELS, BOX) as session:
            await session.update(PIXELS)
            assert (await session.update(PIXELS)).box[0] == 12

    asyncio.run(scenario())
    assert server.frames[1] == server.frames[2]
    assert server.corners[1:] == [wants(11)[0]] * 2


def test_a_session_that_begins_anew_begins_with_the_whole_frame(make: MakeClient, server: FakeServer) -> None:
    server.script.forget = {4}
    pixels = PIXELS.copy()

    async def scenario() -> None:
        async with make(encoding=".png") as client, await client.start(pixels, BOX, restart=True) as session:
            for k in range(5):
                pixels[0, 0] = k
                await session.update(pixels)
            assert session.restarts == 1

    asyncio.run(scenario())
    anew = cv2.imdecode(np.frombuffer(server.created[1], np.uint8), cv2.IMREAD_COLOR)
    assert anew is not None
    assert anew.shape == PIXELS.shape
    assert (anew[0, 0] == 2).all(), "the last answered frame, as it was when it was sent"
    assert server.corners[2] is not None


def test_a_server_that_takes_parts_no_more_gets_whole_frames(make: MakeClient, server: FakeServer) -> None:
    server.script.forget = {3}
    server.script.older_after = True

    async def scenario() -> None:
        async with make(encoding=".png") as client, await client.start(PIXELS, BOX, restart=True) as session:
            for _ in range(4):
                await session.update(PIXELS)
            assert session.restarts == 1

    asyncio.run(scenario())
    assert server.corners[1] is not None
    assert server.corners[-2:] == [None, None]
    assert list(map(shape, server.frames[-2:])) == [SIZE] * 2


def test_a_mode_that_is_none(make: MakeClient) -> None:
    with pytest.raises(ValueError, match="parts"):
        make(parts="sometimes")


def test_what_is_no_frame_opens_no_socket(make: MakeClient, server: FakeServer) -> None:
    async def scenario(bad: Any) -> None:
        async with make() as client, await client.start(PIXELS, BOX) as session:
            with pytest.raises(ValueError, match="frame"):
                await session.update(bad)

    asyncio.run(scenario(PIXELS.astype(np.float32)))
    assert server.queries == []
