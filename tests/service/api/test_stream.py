"""The socket's shell, exercised by hand through the whole application."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.api.problems import close_reason
from tests.service.api.conftest import ask, count, dropped, stream
from tests.service.conftest import Running, RunService
from tests.support import blobs
from tests.support.asgi_socket import connect
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio

BEARER = "base64url.bearer.authorization."
WINDOW = 4


async def test_ready_frames_end(service: Running) -> None:
    session = await service.create()
    async with stream(service, session) as socket:
        assert socket.subprotocol == "siamfc.v1"
        ready = await socket.receive()
        assert len(ready.pop("connection")) >= 16
        assert ready == {
            "type": "ready",
            "session_id": session["session_id"],
            "frame_index": 0,
            "window": WINDOW,
            "mode": "every",
            "parts": True,
        }
        assert count(service, "siamfc_streams") == 1
        for k in range(3):
            answer = await ask(socket, blobs.frame(62 + 2 * k, 50))
            assert (answer["type"], answer["seq"], answer["frame_index"]) == ("result", k, k + 1)
            (target,) = answer["targets"]
            assert target.keys() == {"id", "box", "score", "status", "wants"}
            assert target["box"] == pytest.approx([62 + 2 * k, 50, 16, 16], abs=1)
            assert answer["timing_ms"]["total"] >= answer["timing_ms"]["infer"] >= 0
        socket.say("end")
        assert await socket.receive() == {"type": "bye"}
        assert await socket.closed() == (1000, "")
    assert count(service, "siamfc_streams") == 0
    state = (await service.client.get(f"/v1/sessions/{session['session_id']}")).json()
    assert (state["frame_index"], state["targets"]) == (3, answer["targets"])


async def test_the_end_answers_accepted_frames_and_none_after_it(service: Running) -> None:
    async with stream(service, await service.create()) as socket:
        await socket.receive()
        with service.predictor.held("respond") as begun:
            socket.send_frame(blobs.frame(62, 50))
            socket.send_frame(blobs.frame(64, 50))
            socket.say("end")
            await reached(begun)
            await eventually(lambda: socket.received == 4)
            socket.send_frame(blobs.frame(66, 50))
        assert [(await socket.receive()).get("seq") for _ in range(3)] == [0, 1, None]
        assert await socket.closed() == (1000, "")


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        pytest.param((), None, id="none"),
        pytest.param(("other", "siamfc.v1"), "siamfc.v1", id="ours-among-others"),
    ],
)
async def test_subprotocols(service: Running, offered: tuple[str, ...], chosen: str | None) -> None:
    async with stream(service, await service.create(), subprotocols=offered) as socket:
        assert socket.subprotocol == chosen
        assert (await socket.receive())["type"] == "ready"


@pytest.mark.parametrize(
    ("path", "options", "code"),
    [
        pytest.param("/v1/sessions/nope/stream", {}, 4404, id="no-such-session"),
        pytest.param(None, {"subprotocols": ("siamfc.v9", "other")}, 1002, id="unknown-subprotocols"),
        pytest.param(None, {"subprotocols": (BEARER + "a2V5",)}, 1002, id="bearer-alone"),
        pytest.param(None, {"query": "mode=fast"}, 1008, id="mode"),
        pytest.param(None, {"query": "map=yes"}, 1008, id="map"),
    ],
)
async def test_refusals(service: Running, path: str | None, options: dict[str, Any], code: int) -> None:
    session = await service.create()
    async with connect(service.app, path or session["stream_url"], **options) as socket:
        closed, reason = await socket.closed()
        assert closed == code
        assert reason


@pytest.mark.parametrize(
    ("options", "code"),
    [
        pytest.param({}, 1008, id="none"),
        pytest.param({"subprotocols": ("siamfc.v1", BEARER + "d3Jvbmc")}, 1008, id="wrong"),
        pytest.param({"subprotocols": ("siamfc.v1", BEARER + "$")}, 1008, id="not-base64"),
        pytest.param({"headers": [("Authorization", "Bearer second")]}, 4404, id="another-owners"),
        pytest.param({"headers": [("Authorization", "Bearer first")]}, None, id="header"),
        pytest.param({"subprotocols": ("siamfc.v1", BEARER + "Zmlyc3Q")}, None, id="subprotocol"),
    ],
)
async def test_keys(run_service: RunService, options: dict[str, Any], code: int | None) -> None:
    async with run_service(api_keys="first,second") as service:
        service.client.headers["Authorization"] = "Bearer first"
        async with stream(service, await service.create(), **options) as socket:
            assert socket.subprotocol == "siamfc.v1"
            if code is None:
                assert (await socket.receive())["type"] == "ready"
            else:
                assert (await socket.closed())[0] == code


async def test_one_connection_holds_a_session(service: Running) -> None:
    session = await service.create()
    async with stream(service, session) as first:
        await first.receive()
        async with stream(service, session) as second:
            assert (await second.closed())[0] == 4409
        response = await service.post_frame(session["session_id"], blobs.frame(62, 50))
        assert response.status_code == 409
        assert (await ask(first, blobs.frame(62, 50)))["type"] == "result"
    async with stream(service, session) as third:
        assert (await third.receive())["frame_index"] == 1


async def test_every_reads_no_more_than_the_window(service: Running) -> None:
    async with stream(service, await service.create()) as socket:
        await socket.receive()
        with service.predictor.held("respond") as begun:
            for k in range(WINDOW + 3):
                socket.send_frame(blobs.frame(62 + k, 50))
            await reached(begun)
            await eventually(lambda: socket.received == 1 + WINDOW)
            for _ in range(50):
                await asyncio.sleep(0)
            assert socket.received == 1 + WINDOW
        answers = [await socket.receive() for _ in range(WINDOW + 3)]
        assert [(answer["type"], answer["seq"]) for answer in answers] == [("result", k) for k in range(WINDOW + 3)]
        assert answers[-1]["targets"][0]["box"] == pytest.approx([68, 50, 16, 16], abs=1)


async def test_latest_drops_overtaken_frames(service: Running) -> None:
    async with stream(service, await service.create(), "mode=latest") as socket:
        await socket.receive()
        with service.predictor.held("respond") as begun:
            socket.send_frame(blobs.frame(61, 50))
            await reached(begun)
            for k in range(5):
                socket.send_frame(blobs.frame(62 + k, 50))
            await eventually(lambda: dropped(service) == 4)
        answers = [await socket.receive() for _ in range(6)]
        assert [answer["seq"] for answer in answers] == list(range(6))
        assert [answer["type"] for answer in answers] == ["result", *["dropped"] * 4, "result"]
        assert answers[5]["frame_index"] == 2
        assert all(answer.keys() == {"type", "seq"} for answer in answers[1:5])


async def test_answers_keep_their_order_when_the_client_reads_slowly(service: Running) -> None:
    async with stream(service, await service.create(), "mode=latest") as socket:
        await socket.receive()
        with service.predictor.held("respond") as begun:
            for k in range(4):
                socket.send_frame(blobs.frame(61 + k, 50))
                if not k:
                    await reached(begun)
            await eventually(lambda: dropped(service) == 2)
            socket.block()
        # The worker waits with the answers 0, 1, 2; then the reader has one to give as well.
        await socket.blocked.wait()
        socket.send_frame(blobs.frame(66, 50))
        await eventually(lambda: dropped(service) == 3)
        for _ in range(6):
            socket.unblock_one()
            await asyncio.sleep(0.001)
        socket.unblock()
        assert [(await socket.receive())["seq"] for _ in range(5)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("on_the_device", [False, True], ids=["idle", "under-way"])
async def test_a_deleted_session_closes_its_socket(service: Running, on_the_device: bool) -> None:
    session = await service.create()
    path = f"/v1/sessions/{session['session_id']}"
    async with stream(service, session) as socket:
        await socket.receive()
        if on_the_device:
            with service.predictor.held("respond") as begun:
                for k in range(3):
                    socket.send_frame(blobs.frame(62 + k, 50))
                await reached(begun)
                await eventually(lambda: socket.received == 4)
                await service.client.delete(path)
            answers = [await socket.receive() for _ in range(3)]
            assert [answer["seq"] for answer in answers] == [0, 1, 2]
            assert {answer["problem"]["type"] for answer in answers} == {"about:blank#session-ended"}
        else:
            await service.client.delete(path)
        code, reason = await socket.closed()
        assert (code, "deleted" in reason) == (4410, True)
    assert count(service, "siamfc_slots_used") == 0


async def test_an_expired_session_closes_its_socket(run_service: RunService) -> None:
    async with run_service() as service:
        session = await service.create(ttl_s=0.05)
        async with stream(service, session) as socket:
            assert (await socket.receive())["type"] == "ready"
            assert (await socket.closed())[0] == 4410


async def test_a_connection_that_drops_leaves_the_session_as_it_was(service: Running) -> None:
    session = await service.create()
    with service.predictor.held("respond") as begun:
        async with stream(service, session) as socket:
            await socket.receive()
            socket.send_frame(blobs.frame(62, 50))
            socket.send_frame(blobs.frame(64, 50))
            await reached(begun)
        # The server's side has returned, while the device still works on the frame.
        state = (await service.client.get(f"/v1/sessions/{session['session_id']}")).json()
        assert state == session
    assert count(service, "siamfc_streams") == 0
    async with stream(service, session) as again:
        assert (await again.receive())["frame_index"] == 0
        answer = await ask(again, blobs.frame(62, 50))
        assert (answer["seq"], answer["frame_index"]) == (0, 1)


async def test_a_connection_that_drops_during_a_send(service: Running) -> None:
    session = await service.create()
    async with stream(service, session) as socket:
        await socket.receive()
        socket.block()
        socket.send_frame(blobs.frame(62, 50))
        await socket.blocked.wait()
    assert count(service, "siamfc_streams") == 0
    async with stream(service, session) as again:
        assert (await again.receive())["type"] == "ready"


async def test_the_drain_answers_accepted_frames_and_asks_to_reconnect(service: Running) -> None:
    session = await service.create()
    async with stream(service, session) as busy, stream(service, await service.create()) as idle:
        await busy.receive()
        await idle.receive()
        with service.predictor.held("respond") as begun:
            for k in range(3):
                busy.send_frame(blobs.frame(62 + k, 50))
            await reached(begun)
            await eventually(lambda: busy.received == 4)
            finishing = asyncio.create_task(service.components.drain.finish(20))
            assert (await idle.closed())[0] == 1012
        assert [(await busy.receive())["seq"] for _ in range(3)] == [0, 1, 2]
        assert (await busy.closed())[0] == 1012
        assert await finishing
        async with stream(service, session) as late:
            assert (await late.closed())[0] == 1012


async def test_over_the_rate_latest_drops(run_service: RunService) -> None:
    async with (
        run_service(rate_limit_fps=0.001) as service,
        stream(service, await service.create(), "mode=latest") as socket,
    ):
        await socket.receive()
        assert (await ask(socket, blobs.frame(62, 50)))["type"] == "result"
        assert await ask(socket, blobs.frame(64, 50)) == {"type": "dropped", "seq": 1}
        assert dropped(service) == 1


@pytest.mark.parametrize("mode", ["every", "latest"])
async def test_over_the_rate_a_frame_that_must_not_be_dropped_waits(run_service: RunService, mode: str) -> None:
    async with (
        run_service(rate_limit_fps=8) as service,
        stream(service, await service.create(), f"mode={mode}") as socket,
    ):
        await socket.receive()
        while service.components.rate.take("192.0.2.1") == 0:
            pass
        socket.say("set_target", id="cat", box=[5, 6, 20, 10])
        answer = await ask(socket, blobs.frame(62, 50))
        assert [target["id"] for target in answer["targets"]] == ["0", "cat"]


@pytest.mark.parametrize("text", ["", "short", "x" * 500, "é" * 500, "猫" * 500])
def test_reasons_fit_a_close_frame(text: str) -> None:
    reason = close_reason(text)
    assert len(reason.encode()) <= 123
    assert text.startswith(reason)
