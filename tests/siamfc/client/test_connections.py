"""Both shells over connections that break, are refused, or stay silent: no answer is lost or doubled."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from siamfc import (
    AnswerTimeout,
    AtCapacity,
    ConnectionLost,
    FrameError,
    ServerFault,
    SessionBusy,
    SessionEnded,
    StoreUnavailable,
    Unauthorized,
)
from tests.support.clients import AT_ONCE_ATTEMPTS, BOX, JPEG, MakeClient, followed, frames
from tests.support.fake_server import FakeServer
from tests.support.waiting import eventually


@pytest.mark.parametrize(
    ("script", "connections", "counted"),
    [
        pytest.param({"cut_unread": {3}}, 2, 10, id="broken before a frame is counted"),
        pytest.param({"cut_unanswered": {3}}, 2, 10, id="broken before an answer is sent"),
        pytest.param({"cut_unread": {1}, "cut_unanswered": {4, 9}}, 4, 10, id="again and again"),
        pytest.param({"close": {3: 1001, 5: 1012, 7: 1013}}, 4, 10, id="the server goes away"),
        pytest.param({"window": 1, "cut_unanswered": {3}}, 2, 10, id="one frame at a time"),
        pytest.param({"swallow": {3}, "cut_unanswered": {4}}, 2, 12, id="two answers lost: both counted twice"),
        pytest.param(
            {"resumes": True, "swallow": {3}, "cut_unanswered": {4}}, 2, 10, id="two answers lost, and brought"
        ),
        pytest.param(
            {"resumes": True, "swallow": {2, 3, 7}, "cut_unanswered": {4, 8}, "cut_unread": {6}},
            4,
            10,
            id="lost and brought again and again",
        ),
        pytest.param({"resumes": True, "swallow": {9}, "cut_unanswered": {10}}, 2, 10, id="the last ones brought"),
    ],
)
def test_a_broken_connection_loses_and_doubles_no_answer(
    make: MakeClient, server: FakeServer, script: dict[str, Any], connections: int, counted: int
) -> None:
    for name, value in copy.deepcopy(script).items():
        setattr(server.script, name, value)

    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            answers = await followed(session, frames(10))
            assert [answer.seq for answer in answers] == list(range(10))
            assert [answer.frame_index for answer in answers] == sorted({answer.frame_index for answer in answers})
            assert answers[-1].frame_index == counted
            assert [answer.box[0] - 10 for answer in answers] == [answer.frame_index for answer in answers]

    asyncio.run(scenario())
    assert len(server.queries) == connections


@pytest.mark.parametrize(
    ("away", "window", "sent"),
    [
        pytest.param([True], 1, {11}, id="one frame, once"),
        # How many went behind it before the refusal came is a matter of time.
        pytest.param([False, True], 4, {11, 12, 13, 14}, id="what is behind it too"),
        pytest.param([True, False] * 3, 4, set(range(13, 23)), id="now and then"),
    ],
)
def test_frames_that_the_server_could_not_keep_are_sent_again(
    make: MakeClient, server: FakeServer, away: list[bool], window: int, sent: set[int]
) -> None:
    server.script.unavailable, server.script.window, server.script.stalls = list(away), window, True

    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            answers = await followed(session, frames(10))
            assert [answer.seq for answer in answers] == list(range(10))
            assert [answer.frame_index for answer in answers] == list(range(1, 11))

    asyncio.run(scenario())
    assert len(server.frames) in sent


def test_a_store_that_stays_away_is_given_up(make: MakeClient, server: FakeServer) -> None:
    server.script.unavailable = [True] * 100

    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            with pytest.raises(FrameError) as caught:
                await session.update(JPEG)
            assert isinstance(caught.value.problem, StoreUnavailable)
            server.script.unavailable.clear()
            assert (await session.update(JPEG)).frame_index == 1

    asyncio.run(scenario())
    # The first attempt, the four that the policy allows, and the frame after it.
    assert len(server.frames) == 6


def test_latest_sends_nothing_again(make: MakeClient, server: FakeServer) -> None:
    server.script.unavailable = [True]

    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            answers = await followed(session, frames(3), mode="latest")
            assert [type(answer).__name__ for answer in answers] == ["Failed", "Result", "Result"]

    asyncio.run(scenario())


def test_update_survives_a_broken_connection(make: MakeClient, server: FakeServer) -> None:
    server.script.cut_unanswered = {2}
    server.script.cut_unread = {3}

    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            assert [(await session.update(frame)).frame_index for frame in frames(4)] == [1, 2, 3, 4]

    asyncio.run(scenario())


def test_a_dead_connection_that_still_holds_the_session(make: MakeClient, server: FakeServer) -> None:
    server.script.cut_unread = {2}

    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX) as session:
            await session.update(JPEG)
            server.script.refuse_streams = [4409, 4409]
            assert (await session.update(JPEG)).frame_index == 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        pytest.param([4409], SessionBusy, id="held by another client"),
        pytest.param([4410], SessionEnded, id="ended"),
        pytest.param([1008], Unauthorized, id="key"),
        pytest.param([1011], ServerFault, id="bug"),
        pytest.param([1012] * 5, ConnectionLost, id="away for too long"),
        pytest.param([1013] * 5, AtCapacity, id="overloaded for too long"),
    ],
)
def test_streams_refused(make: MakeClient, server: FakeServer, codes: list[int], expected: type[Exception]) -> None:
    server.script.refuse_streams = list(codes)

    async def scenario() -> None:
        async with make() as client:
            session = await client.start(JPEG, BOX)
            with pytest.raises(expected):
                await session.update(JPEG)

    asyncio.run(scenario())
    assert server.script.refuse_streams == []


def test_a_server_that_always_breaks_is_given_up(make: MakeClient, server: FakeServer) -> None:
    server.script.poison = JPEG

    async def scenario() -> None:
        async with make() as client:
            session = await client.start(JPEG, BOX)
            with pytest.raises(ConnectionLost):
                await session.update(JPEG)

    asyncio.run(scenario())
    # The first attempt, and the four that the policy allows: a connection without an answer begins no new count.
    assert len(server.frames) == 5


def test_no_answer_in_time(make: MakeClient, server: FakeServer) -> None:
    server.script.mute = True

    async def scenario() -> None:
        async with make(timeout_s=0.2) as client:
            session = await client.start(JPEG, BOX)
            with pytest.raises(AnswerTimeout):
                await session.update(JPEG)

    asyncio.run(scenario())


def test_every_failed_attempt_closes_its_socket(make: MakeClient, server: FakeServer) -> None:
    server.script.silent = True

    async def scenario() -> None:
        async with make(timeout_s=0.2) as client:
            session = await client.start(JPEG, BOX)
            with pytest.raises(ConnectionLost):
                await session.update(JPEG)
            assert len(server.queries) == 1 + AT_ONCE_ATTEMPTS
            await eventually(lambda: server.farewells == len(server.queries))

    asyncio.run(scenario())


def test_no_server(make: MakeClient) -> None:
    async def scenario() -> None:
        with FakeServer().running() as gone:
            session = None
            async with make(base_url=gone.url) as client:
                session = await client.start(JPEG, BOX)
        async with make(base_url=gone.url) as client:
            with pytest.raises(ConnectionLost, match=gone.url):
                await client.model()
        with pytest.raises(ConnectionLost, match=session.id):
            await session.update(JPEG)

    asyncio.run(scenario())
