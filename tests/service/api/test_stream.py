"""The socket's shell, driven through the whole application by hand."""

from __future__ import annotations

import asyncio
import base64
from contextlib import AbstractAsyncContextManager
from typing import Any

import cv2
import numpy as np
import pytest

from service.api.stream import _map_png, _reason
from tests.service.conftest import Running, RunService
from tests.support import blobs
from tests.support.asgi_socket import AsgiSocket, connect
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio

BEARER = "base64url.bearer.authorization."
WINDOW = 4


def stream(
    service: Running, session: dict[str, Any], query: str = "", **options: Any
) -> AbstractAsyncContextManager[AsgiSocket]:
    return connect(service.app, session["stream_url"], query, **options)


async def ask(socket: AsgiSocket, data: bytes) -> dict[str, Any]:
    socket.send_frame(data)
    return await socket.receive()


def count(service: Running, sample: str) -> float:
    lines = service.parts.metrics.render().decode().splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(f"{sample} ")), 0.0)


def dropped(service: Running) -> float:
    return count(service, 'siamfc_frames_total{outcome="dropped"}')


async def test_ready_frames_end(service: Running) -> None:
    session = await service.create()
    async with stream(service, session) as socket:
        assert socket.subprotocol == "siamfc.v1"
        assert await socket.receive() == {
            "type": "ready",
            "session_id": session["session_id"],
            "frame_index": 0,
            "window": WINDOW,
            "mode": "every",
        }
        assert count(service, "siamfc_streams") == 1
        for k in range(3):
            answer = await ask(socket, blobs.frame(62 + 2 * k, 50))
            assert (answer["type"], answer["seq"], answer["frame_index"]) == ("result", k, k + 1)
            (target,) = answer["targets"]
            assert target.keys() == {"id", "box", "score", "status"}
            assert target["box"] == pytest.approx([62 + 2 * k, 50, 16, 16], abs=1)
            assert answer["timing_ms"]["total"] >= answer["timing_ms"]["infer"] >= 0
        socket.say("end")
        assert await socket.receive() == {"type": "bye"}
        assert await socket.closed() == (1000, "")
    assert count(service, "siamfc_streams") == 0
    state = (await service.client.get(f"/v1/sessions/{session['session_id']}")).json()
    assert (state["frame_index"], state["targets"]) == (3, answer["targets"])


async def test_the_end_answers_what_is_under_way_and_nothing_after_it(service: Running) -> None:
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


async def test_one_connection_drives_a_session(service: Running) -> None:
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


async def test_latest_drops_what_is_overtaken(service: Running) -> None:
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


BAD_FRAMES = [
    pytest.param(b"", "invalid-image", id="empty"),
    pytest.param(b"hello", "invalid-image", id="not-an-image"),
    pytest.param(blobs.frame(0, 0, 160, 119), "frame-size-changed", id="other-size"),
    pytest.param(blobs.frame(0, 0, 400, 400), "image-too-large", id="too-large"),
]


@pytest.mark.parametrize(("data", "slug"), BAD_FRAMES)
@pytest.mark.parametrize("mode", ["every", "latest"])
async def test_a_bad_frame_fails_alone(service: Running, mode: str, data: bytes, slug: str) -> None:
    async with stream(service, await service.create(), f"mode={mode}") as socket:
        await socket.receive()
        answer = await ask(socket, data)
        assert (answer["type"], answer["seq"]) == ("error", 0)
        assert answer["problem"]["type"] == f"about:blank#{slug}"
        answer = await ask(socket, blobs.frame(62, 50))
        assert (answer["type"], answer["seq"], answer["frame_index"]) == ("result", 1, 1)


async def test_bad_frames_among_good_ones_keep_the_order(service: Running) -> None:
    async with stream(service, await service.create()) as socket:
        await socket.receive()
        with service.predictor.held("respond"):
            for data in (blobs.frame(62, 50), b"hello", b"hello", blobs.frame(64, 50)):
                socket.send_frame(data)
            await eventually(lambda: socket.received == 5)
        answers = [await socket.receive() for _ in range(4)]
        assert [(answer["type"], answer["seq"]) for answer in answers] == [
            ("result", 0),
            ("error", 1),
            ("error", 2),
            ("result", 3),
        ]


@pytest.mark.parametrize("failure", ["model", "map", "bug"])
async def test_a_failure_is_that_frames_answer(service: Running, failure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ArithmeticError("/secret/path")

    async with stream(service, await service.create()) as socket:
        await socket.receive()
        if failure == "model":
            service.predictor.fail("respond", RuntimeError("/secret/path"))
        elif failure == "map":
            service.predictor.logits = float("nan")
        else:
            monkeypatch.setattr("service.sessions.tracking.conclude", broken)
        answer = await ask(socket, blobs.frame(62, 50))
        assert (answer["type"], answer["seq"]) == ("error", 0)
        assert answer["problem"]["status"] == (500 if failure == "bug" else 503)
        assert "secret" not in str(answer)
        monkeypatch.undo()
        service.predictor.mend("respond")
        service.predictor.logits = None
        await eventually(lambda: service.parts.batcher.failure is None)
        assert (await ask(socket, blobs.frame(62, 50)))["frame_index"] == 1


async def test_boxes_are_drawn_on_the_next_frame(service: Running) -> None:
    async with stream(service, await service.create()) as socket:
        await socket.receive()
        socket.say("set_target", id="cat", box=[5, 6, 20, 10])
        answer = await ask(socket, blobs.frame(62, 50))
        assert [target["id"] for target in answer["targets"]] == ["0", "cat"]
        assert answer["targets"][1]["box"] == [5, 6, 20, 10]
        socket.say("remove_target", id="0")
        assert [target["id"] for target in (await ask(socket, blobs.frame(62, 50)))["targets"]] == ["cat"]


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        pytest.param("hello", "invalid-request", id="not-json"),
        pytest.param('{"type":"fly"}', "invalid-request", id="unknown-type"),
        pytest.param('{"type":"set_target","id":"0","box":[0,0,0,1]}', "invalid-box", id="flat-box"),
        pytest.param('{"type":"remove_target","id":"cat"}', "target-not-found", id="no-such-target"),
    ],
)
async def test_a_text_message_that_cannot_be_used_is_complained_of(service: Running, text: str, slug: str) -> None:
    async with stream(service, await service.create()) as socket:
        await socket.receive()
        socket.send_text(text)
        complaint = await socket.receive()
        assert complaint.keys() == {"type", "problem"}
        assert (complaint["type"], complaint["problem"]["type"]) == ("error", f"about:blank#{slug}")
        answer = await ask(socket, blobs.frame(62, 50))
        assert (answer["type"], answer["seq"]) == ("result", 0)


async def test_a_box_off_its_frame_spoils_neither_the_frame_nor_the_other_boxes(service: Running) -> None:
    async with stream(service, await service.create()) as socket:
        await socket.receive()
        socket.say("set_target", id="0", box=[1000, 1000, 5, 5])
        socket.say("set_target", id="cat", box=[5, 6, 20, 10])
        complaint = await ask(socket, blobs.frame(62, 50))
        assert complaint.keys() == {"type", "problem"}
        assert complaint["problem"]["type"] == "about:blank#invalid-box"
        answer = await socket.receive()
        assert (answer["seq"], [target["id"] for target in answer["targets"]]) == (0, ["0", "cat"])
        assert answer["targets"][0]["box"] == pytest.approx([62, 50, 16, 16], abs=1)


async def test_too_many_boxes_on_one_frame(service: Running) -> None:
    async with stream(service, await service.create()) as socket:
        await socket.receive()
        for name in "abcd":
            socket.say("set_target", id=name, box=[5, 6, 20, 10])
        assert "at most 3" in (await socket.receive())["problem"]["detail"]
        # Three on the frame, one there before: the last is one too many for the session.
        assert (await ask(socket, blobs.frame(62, 50)))["problem"]["type"] == "about:blank#too-many-targets"
        assert [target["id"] for target in (await socket.receive())["targets"]] == ["0", "a", "b"]


async def test_a_flood_of_text_is_worked_off(service: Running) -> None:
    async with stream(service, await service.create()) as socket:
        await socket.receive()
        with service.predictor.held("respond") as begun:
            socket.send_frame(blobs.frame(62, 50))
            await reached(begun)
            for _ in range(1000):
                socket.say("remove_target", id="cat")
            await eventually(lambda: socket.received > 200)
            for _ in range(50):
                await asyncio.sleep(0)
            assert socket.received < 300, "messages pile up without bound"
        assert (await socket.receive())["seq"] == 0
        for _ in range(1000):
            assert (await socket.receive())["problem"]["status"] == 404
        assert (await ask(socket, blobs.frame(62, 50)))["seq"] == 1


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


async def test_a_connection_that_drops_while_it_is_written_to(service: Running) -> None:
    session = await service.create()
    async with stream(service, session) as socket:
        await socket.receive()
        socket.block()
        socket.send_frame(blobs.frame(62, 50))
        await socket.blocked.wait()
    assert count(service, "siamfc_streams") == 0
    async with stream(service, session) as again:
        assert (await again.receive())["type"] == "ready"


async def test_the_drain_answers_what_was_accepted_and_asks_to_reconnect(service: Running) -> None:
    session = await service.create()
    async with stream(service, session) as busy, stream(service, await service.create()) as idle:
        await busy.receive()
        await idle.receive()
        with service.predictor.held("respond") as begun:
            for k in range(3):
                busy.send_frame(blobs.frame(62 + k, 50))
            await reached(begun)
            await eventually(lambda: busy.received == 4)
            finishing = asyncio.create_task(service.parts.drain.finish(20))
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
        while service.parts.rate.take("192.0.2.1") == 0:
            pass
        socket.say("set_target", id="cat", box=[5, 6, 20, 10])
        answer = await ask(socket, blobs.frame(62, 50))
        assert [target["id"] for target in answer["targets"]] == ["0", "cat"]


async def test_response_maps(service: Running) -> None:
    session = await service.create()
    async with stream(service, session, "map=1") as socket:
        await socket.receive()
        socket.say("set_target", id="cat", box=[5, 6, 20, 10])
        answer = await ask(socket, blobs.frame(66, 53))
        searched, placed = answer["targets"]
        assert not {"response_map", "map_box"} & placed.keys(), "a target that was not searched has no map"
        png = np.frombuffer(base64.b64decode(searched["response_map"]), np.uint8)
        grey = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
        assert grey.shape == (257, 257)
        x, y, w, h = searched["map_box"]
        # The context's square is 32 px for a box of 16; the map spans 129 of the search region's 127 * 32 / 127 * 255.
        assert (w, h) == pytest.approx((32 * 129 / 127, 32 * 129 / 127), abs=0.01)
        assert (x + w / 2, y + h / 2) == pytest.approx((68, 58), abs=0.01)
        row, column = (float(line.mean()) for line in np.nonzero(grey == grey.max()))
        assert (x + column / 256 * w, y + row / 256 * h) == pytest.approx((74, 61), abs=1)


@pytest.mark.parametrize(
    ("logit", "grey"), [(0.0, 128), (-1000.0, 0), (1000.0, 255), (1.0, 186)], ids=["zero", "low", "high", "one"]
)
def test_map_values(logit: float, grey: int) -> None:
    # 255 / (1 + exp(-1)) = 186.4
    png = np.frombuffer(_map_png(np.full((3, 3), logit, np.float32)), np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(png, cv2.IMREAD_UNCHANGED), np.full((3, 3), grey))


@pytest.mark.parametrize("text", ["", "short", "x" * 500, "é" * 500, "猫" * 500])
def test_reasons_fit_a_close_frame(text: str) -> None:
    reason = _reason(text)
    assert len(reason.encode()) <= 123
    assert text.startswith(reason)
