"""Sessions that begin anew where the server has forgotten them, with both clients."""

from __future__ import annotations

import asyncio

import pytest

from siamfc import ConnectionLost, Result, SessionEnded, SessionNotFound, Target
from siamfc.client.anchor import Anchor
from tests.support.clients import BOX, JPEG, MakeClient, followed, frames
from tests.support.fake_server import FakeServer


def test_an_anchor_says_what_to_start_with() -> None:
    anchor = Anchor(b"frame", (Target("cup", (1.0, 2.0, 3.0, 4.0), 0.5, "tracking"),))
    assert anchor.wanted == [{"id": "cup", "box": [1.0, 2.0, 3.0, 4.0]}]


def test_an_update_goes_on_in_a_new_session(make: MakeClient, server: FakeServer) -> None:
    server.script.forget = {3}

    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX, restart=True) as session:
            first = session.id
            results = [await session.update(frame) for frame in frames(4)]
            # The box goes on from frame 1's, the last answered; the new session counts from 0.
            assert [result.box[0] for result in results] == [11, 12, 13, 14]
            assert [result.frame_index for result in results] == [1, 2, 1, 2]
            assert (session.restarts, session.id) == (1, "s2")
            assert session.id != first
        assert not server.sessions

    asyncio.run(scenario())
    assert server.created == [JPEG, frames(4)[1]]


def test_a_stream_answers_every_frame_over_a_restart(make: MakeClient, server: FakeServer) -> None:
    server.script.forget = {4}
    targets = [{"id": "cup", "box": BOX}, {"id": "face", "box": [1, 2, 3, 4]}]

    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, targets=targets, restart=True, ttl_s=60) as session:
            answers = await followed(session, frames(9))
            assert [answer.seq for answer in answers] == list(range(9))
            assert all(isinstance(answer, Result) for answer in answers)
            assert [answer.targets[0].box[0] for answer in answers] == list(range(11, 20))
            assert [[target.id for target in answer.targets] for answer in answers] == [["cup", "face"]] * 9

    asyncio.run(scenario())
    assert server.created == [JPEG, frames(9)[2]]


def test_a_session_forgotten_before_its_first_frame(make: MakeClient, server: FakeServer) -> None:
    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX, restart=True) as session:
            server.sessions.clear()
            assert (await session.update(JPEG)).box[0] == 11
            await session.close()
            server.sessions.clear()
            # A closed socket keeps its anchor for the next one.
            assert (await session.update(JPEG)).box[0] == 12
            assert session.restarts == 2

    asyncio.run(scenario())


def test_a_correction_under_way_is_made_in_the_new_session(make: MakeClient, server: FakeServer) -> None:
    server.script.forget = {2}

    async def scenario() -> None:
        async with make() as client, await client.start(JPEG, BOX, restart=True) as session:
            await session.update(JPEG)
            await session.set_target("0", (30, 30, 5, 5))
            assert (await session.update(JPEG)).box == (30, 30, 5, 5)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("restart", "codes", "error"),
    [
        pytest.param(False, [4404], SessionNotFound, id="not asked for"),
        pytest.param(True, [4410], SessionEnded, id="deleted or expired"),
        pytest.param(True, [4404] * 9, ConnectionLost, id="forgotten again and again"),
    ],
)
def test_a_session_that_does_not_begin_anew(
    make: MakeClient, server: FakeServer, restart: bool, codes: list[int], error: type[Exception]
) -> None:
    server.script.refuse_streams = [*codes]

    async def scenario() -> None:
        async with make() as client:
            session = await client.start(JPEG, BOX, restart=restart)
            with pytest.raises(error):
                await session.update(JPEG)

    asyncio.run(scenario())


def test_a_session_without_targets_does_not_begin_anew(make: MakeClient, server: FakeServer) -> None:
    server.script.forget = {2}

    async def scenario() -> None:
        async with make() as client:
            session = await client.start(JPEG, BOX, restart=True)
            await session.remove_target("0")
            assert (await session.update(JPEG)).targets == ()
            with pytest.raises(SessionNotFound):
                await session.update(JPEG)

    asyncio.run(scenario())


def test_a_server_that_is_away_when_the_session_is_to_begin_anew(make: MakeClient, server: FakeServer) -> None:
    """It came back, forgot the session, and is away again for two calls."""
    server.script.forget = {2}

    async def scenario() -> None:
        async with make() as client:
            session = await client.start(JPEG, BOX, restart=True)
            await session.update(JPEG)
            server.script.refuse_calls = [(503, {}, None), (503, {}, None)]
            assert (await session.update(JPEG)).box[0] == 12
            await session.close()

    asyncio.run(scenario())
