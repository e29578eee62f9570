"""A stream's answers to frames and texts, good and bad."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.checkpoints import load_weights
from service.api.maps import _png
from service.engine.predictor import DevicePredictor
from tests.service.api.conftest import ask, stream
from tests.service.conftest import Running, RunService
from tests.support import blobs
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio


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
            monkeypatch.setattr("model.tracker.Tracker.conclude", broken)
        answer = await ask(socket, blobs.frame(62, 50))
        assert (answer["type"], answer["seq"]) == ("error", 0)
        assert answer["problem"]["status"] == (500 if failure == "bug" else 503)
        assert "secret" not in str(answer)
        monkeypatch.undo()
        service.predictor.mend("respond")
        service.predictor.logits = None
        await eventually(lambda: service.components.batcher.failure is None)
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
async def test_a_text_message_that_cannot_be_used_gets_a_complaint(service: Running, text: str, slug: str) -> None:
    async with stream(service, await service.create()) as socket:
        await socket.receive()
        socket.send_text(text)
        complaint = await socket.receive()
        assert complaint.keys() == {"type", "problem"}
        assert (complaint["type"], complaint["problem"]["type"]) == ("error", f"about:blank#{slug}")
        answer = await ask(socket, blobs.frame(62, 50))
        assert (answer["type"], answer["seq"]) == ("result", 0)


async def test_a_box_off_its_frame_harms_neither_the_frame_nor_the_other_boxes(service: Running) -> None:
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


async def test_a_flood_of_text_is_handled(service: Running) -> None:
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


async def test_too_many_messages_that_are_none_end_the_stream(service: Running) -> None:
    async with stream(service, await service.create()) as socket:
        await socket.receive()
        for _ in range(500):
            socket.send_text("?")
        socket.send_frame(blobs.frame(62, 50))
        for _ in range(101):
            assert (await socket.receive())["problem"]["status"] == 422
        assert await socket.closed() == (1008, "too many messages that cannot be used")


async def test_a_few_now_and_then_do_not(service: Running) -> None:
    async with stream(service, await service.create()) as socket:
        await socket.receive()
        for _ in range(100):
            socket.send_text("?")
            assert (await socket.receive())["type"] == "error"
        assert (await ask(socket, blobs.frame(62, 50)))["seq"] == 0
        socket.say("end")
        assert (await socket.receive())["type"] == "bye"


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


async def test_response_maps_come_back_from_a_device_that_keeps_the_others(
    run_service: RunService, random_weights: Path
) -> None:
    weights = load_weights(random_weights)
    predictor = DevicePredictor(
        weights, device="cpu", precision="fp32", threads=1, slots=8, batch_max=2, on_device=True
    )
    async with run_service(predictor, max_sessions=4, max_targets=2) as service:
        session = await service.create(60, 50)
        for query, mapped in (("map=1", True), ("", False)):
            async with stream(service, session, query) as socket:
                await socket.receive()
                result = await ask(socket, blobs.frame(62, 51))
                assert result["type"] == "result"
                assert ("response_map" in result["targets"][0]) is mapped


@pytest.mark.parametrize(
    ("logit", "grey"), [(0.0, 128), (-1000.0, 0), (1000.0, 255), (1.0, 186)], ids=["zero", "low", "high", "one"]
)
def test_map_values(logit: float, grey: int) -> None:
    # 255 / (1 + exp(-1)) = 186.4
    png = np.frombuffer(_png(np.full((3, 3), logit, np.float32)), np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(png, cv2.IMREAD_UNCHANGED), np.full((3, 3), grey))
