"""Both shells against a server that keeps the contract: the same scenarios, blocking and asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from siamfc import (
    AsyncClient,
    AtCapacity,
    Dropped,
    Failed,
    FrameError,
    InvalidBox,
    InvalidFrame,
    InvalidImage,
    Result,
    SessionNotFound,
    TargetNotFound,
    Unauthorized,
    UnexpectedAnswer,
)
from tests.support.clients import BOX, JPEG, MakeClient, followed, frames
from tests.support.fake_server import RESPONSE_MAP, FakeServer, problem


def test_start_update_delete(make: MakeClient, server: FakeServer) -> None:
    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            assert session.started.box == BOX
            assert [(await session.update(frame)).box[0] for frame in frames(3)] == [11, 12, 13]
            assert session.last.frame_index == 3
            assert (await session.state()).frame_index == 3
            assert server.sessions
        assert not server.sessions

    asyncio.run(scenario())
    assert server.frames == frames(3)
    assert server.queries == ["mode=every&map=0"]


def test_arrays_targets_and_time_to_live(make: MakeClient, server: FakeServer) -> None:
    async def scenario() -> None:
        async with make(encoding=".png") as client:
            targets = [{"id": "a", "box": BOX}, {"box": np.array(BOX)}]
            session = await client.start(np.zeros((48, 64, 3), np.uint8), targets=targets, ttl_s=5)
            result = await session.update(np.zeros((48, 64), np.uint8))
            assert [target.id for target in result.targets] == ["a", "1"]
            await session.delete()
            with pytest.raises(SessionNotFound):
                await session.delete()

    asyncio.run(scenario())
    assert all(data.startswith(b"\x89PNG") for data in (*server.created, *server.frames))


def test_the_model(make: MakeClient) -> None:
    async def scenario() -> None:
        async with make() as client:
            assert (await client.model())["stride"] == 8

    asyncio.run(scenario())


def test_a_stream_answers_every_frame_in_order(make: MakeClient, server: FakeServer) -> None:
    sent = frames(11)
    sent[4] = b"no image"

    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            answers = await followed(session, sent)
            assert [answer.seq for answer in answers] == list(range(11))
            assert isinstance(answers[4], Failed)
            assert isinstance(answers[4].problem, InvalidImage)
            counted = [answer for answer in answers if isinstance(answer, Result)]
            assert [answer.frame_index for answer in counted] == list(range(1, 11))
            assert [answer.box[0] for answer in counted] == list(range(11, 21))
            # A second stream goes on over the same socket, and counts its frames from 0.
            assert [answer.seq for answer in await followed(session, frames(2))] == [0, 1]

    asyncio.run(scenario())
    assert server.queries == ["mode=every&map=0"]


def test_an_async_source() -> None:
    async def source() -> AsyncIterator[bytes]:
        for frame in frames(3):
            yield frame

    async def scenario(url: str) -> None:
        async with AsyncClient(url) as client, await client.start(JPEG, BOX) as session:
            assert [answer.seq async for answer in session.stream(source())] == [0, 1, 2]

    with FakeServer().running() as server:
        asyncio.run(scenario(server.url))


def test_latest_says_what_was_dropped(make: MakeClient, server: FakeServer) -> None:
    server.script.drop = {2}

    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            answers = await followed(session, frames(3), mode="latest")
            assert [type(answer) for answer in answers] == [Result, Dropped, Result]

    asyncio.run(scenario())
    assert server.queries == ["mode=latest&map=0"]


def test_response_maps_on_demand(make: MakeClient, server: FakeServer) -> None:
    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            assert (await session.update(JPEG)).target.response_map is None
            result = await session.update(JPEG, response_map=True)
            assert result.target.response_map.tolist() == RESPONSE_MAP.tolist()
            assert result.target.map_box == (1, 2, 3, 4)
            (answer,) = await followed(session, [JPEG], response_maps=True)
            assert answer.target.response_map is not None

    asyncio.run(scenario())
    assert server.queries == ["mode=every&map=0", "mode=every&map=1"]


def test_targets_come_and_go(make: MakeClient, server: FakeServer) -> None:
    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            await session.set_target("b", (1, 1, 5, 5))
            result = await session.update(JPEG)
            assert {target.id: target.box[0] for target in result.targets} == {"0": 11, "b": 1}
            await session.remove_target("0")
            assert (await session.update(JPEG)).target.id == "b"
            await session.close()
            await session.remove_target("b")
            with pytest.raises(TargetNotFound):
                await session.remove_target("b")
            assert (await session.update(JPEG)).targets == ()

    asyncio.run(scenario())


def test_a_refused_control_is_heard_of_and_nothing_is_lost(make: MakeClient) -> None:
    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            await session.set_target("b", (1, 1, 0, 5))
            with pytest.raises(InvalidBox):
                await session.update(JPEG)
            assert session.last.frame_index == 1
            assert (await session.update(JPEG)).frame_index == 2
            with pytest.raises(InvalidBox):
                await session.set_target("b", (1, 1, float("nan"), 5))

    asyncio.run(scenario())


def test_a_failed_frame_is_not_the_end(make: MakeClient) -> None:
    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            with pytest.raises(FrameError) as caught:
                await session.update(b"no image")
            assert isinstance(caught.value.problem, InvalidImage)
            with pytest.raises(InvalidFrame):
                await session.update("/no/such/file.jpg")
            assert (await session.update(JPEG)).frame_index == 1

    asyncio.run(scenario())


def test_a_source_that_breaks_loses_no_answer(make: MakeClient) -> None:
    def source() -> Iterator[bytes]:
        yield from frames(3)
        raise RuntimeError("camera unplugged")

    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            for broken, expected in ((source(), RuntimeError), ([*frames(3), b""], InvalidFrame)):
                answers = session.stream(broken)
                assert [(await anext(answers)).seq for _ in range(3)] == [0, 1, 2]
                with pytest.raises(expected):
                    await anext(answers)

    asyncio.run(scenario())


def test_a_stream_left_early_leaves_the_session(make: MakeClient) -> None:
    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            answers = session.stream(frames(20))
            async for _ in answers:
                break
            await answers.aclose()
            await session.close()
            result = await session.update(JPEG)
            assert result.frame_index == (await session.state()).frame_index

    asyncio.run(scenario())


def test_going_on_with_a_session(make: MakeClient, server: FakeServer) -> None:
    async def scenario() -> None:
        async with make() as client:
            first = await client.start(JPEG, BOX)
            await first.update(JPEG)
            await first.close()
            again = await client.session(first.id)
            assert again.started.frame_index == 1
            assert (await again.update(JPEG)).frame_index == 2
            await again.delete()

    asyncio.run(scenario())


def test_refusals_over_http(make: MakeClient, server: FakeServer) -> None:
    async def scenario() -> None:
        async with make() as client:
            with pytest.raises(InvalidBox) as caught:
                await client.start(JPEG, (1, 1, 0, 5))
            assert caught.value.errors[0].pointer == "/targets/0/box"
            with pytest.raises(InvalidImage):
                await client.start(b"no image", BOX)
            with pytest.raises(SessionNotFound):
                await client.session("nobody/knows")
            full = problem("at-capacity") | {"status": 503}
            server.script.refuse_calls = [(503, {"Retry-After": "4"}, full), (200, {}, {"odd": 1})]
            with pytest.raises(AtCapacity) as full_house:
                await client.start(JPEG, BOX)
            assert full_house.value.retry_after_s == 4
            with pytest.raises(UnexpectedAnswer):
                await client.start(JPEG, BOX)

    asyncio.run(scenario())


def test_keys(make: MakeClient, server: FakeServer) -> None:
    server.api_key = "open sesame"

    async def scenario() -> None:
        async with make(api_key="open sesame") as client, await client.start(JPEG, BOX) as session:
            await session.update(JPEG)
        async with make(api_key="open barley") as client:
            with pytest.raises(Unauthorized):
                await client.start(JPEG, BOX)

    asyncio.run(scenario())


def test_what_goes_wrong_inside_is_what_is_heard(make: MakeClient, server: FakeServer) -> None:
    async def fail_inside(session: Any) -> None:
        async with session:
            server.script.refuse_calls = [(500, {}, None)]
            raise ZeroDivisionError

    async def scenario() -> None:
        async with make() as client:
            session = await client.start(JPEG, BOX)
            with pytest.raises(ZeroDivisionError):
                await fail_inside(session)
            async with await client.start(JPEG, BOX):
                server.sessions.clear()

    asyncio.run(scenario())
