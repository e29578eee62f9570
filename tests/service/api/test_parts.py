"""Parts of frames over HTTP and the socket, through the whole application."""

from __future__ import annotations

import numpy as np
import pytest

from service.api import bodies
from service.errors import InvalidPart
from tests.service.api.conftest import ask, count, stream
from tests.service.conftest import Json, Running
from tests.support import blobs
from tests.support.waiting import reached

pytestmark = pytest.mark.anyio

WANTED = [28, 18, 80, 80]


def part(blob: tuple[float, float], x: int, y: int, w: int, h: int) -> bytes:
    """A part of the frame with its square at `blob`, as PNG."""
    return blobs.encoded(np.ascontiguousarray(blobs.picture(*blob)[y : y + h, x : x + w]))


def slug(problem: Json) -> str:
    name: str = problem["type"].partition("#")[2]
    return name


@pytest.mark.parametrize(("text", "corner"), [(None, None), ("0,0", (0, 0)), ("120,96", (120, 96))])
def test_a_corner(text: str | None, corner: tuple[int, int] | None) -> None:
    assert bodies.read_corner(text) == corner


NOT_CORNERS = ["", "5", "1,2,3", "-2,4", "1.5,2", "a,b", " 1,2", "1, 2", "[1,2]", "٣,٤", "1" * 5000 + ",2", "0x10,2"]


@pytest.mark.parametrize("text", NOT_CORNERS, ids=[ascii(text)[:12] for text in NOT_CORNERS])
def test_what_is_no_corner(text: str) -> None:
    with pytest.raises(InvalidPart):
        bodies.read_corner(text)


async def test_a_part_over_http(service: Running) -> None:
    session = await service.create()
    path = f"/v1/sessions/{session['session_id']}/frames"
    assert session["targets"][0]["wants"] == WANTED
    assert (await service.client.get("/v1/model")).json()["parts"] is True
    x, y, w, h = WANTED
    headers = {"Content-Type": "image/png"}
    response = await service.client.post(f"{path}?at={x},{y}", content=part((63, 52), x, y, w, h), headers=headers)
    result = response.json()
    assert (response.status_code, result["frame_index"], "missed" in result) == (200, 1, False)
    assert result["targets"][0]["box"] == pytest.approx([63, 52, 16, 16], abs=1)
    response = await service.client.post(f"{path}?at=0,0", content=part((63, 52), 0, 0, 40, 30), headers=headers)
    assert response.json()["missed"] == ["0"]
    for query, image in [("?at=-1,0", part((63, 52), 0, 0, 40, 30)), ("?at=140,100", part((63, 52), 0, 0, 40, 30))]:
        response = await service.client.post(path + query, content=image, headers=headers)
        assert (response.status_code, slug(response.json())) == (422, "invalid-part")
        assert response.json()["errors"][0]["pointer"] == "/at"
    response = await service.client.post(path, content=part((63, 52), 0, 0, 40, 30), headers=headers)
    assert (response.status_code, slug(response.json())) == (409, "frame-size-changed")
    assert (await service.client.get(f"/v1/sessions/{session['session_id']}")).json()["frame_index"] == 2


async def test_a_target_corrected_on_a_part_over_http(service: Running) -> None:
    session = await service.create()
    path = f"/v1/sessions/{session['session_id']}/targets/0"
    x, y, w, h = WANTED
    files = {"frame": ("0.png", part((62, 50), x, y, w, h), "image/png")}
    response = await service.client.put(f"{path}?at={x},{y}", files=files, data={"box": "62,50,16,16"})
    assert (response.status_code, response.json()["targets"][0]["box"]) == (200, [62, 50, 16, 16])
    response = await service.client.put(f"{path}?at={x},{y}", files=files, data={"box": "2,5,16,12"})
    assert (response.status_code, slug(response.json())) == (422, "invalid-box")
    response = await service.client.put(f"{path}?at=nowhere", files=files, data={"box": "62,50,16,16"})
    assert (response.status_code, slug(response.json())) == (422, "invalid-part")


async def test_parts_over_the_socket(service: Running) -> None:
    session = await service.create()
    async with stream(service, session) as socket:
        assert (await socket.receive())["parts"] is True
        wants = session["targets"][0]["wants"]
        for k in range(4):
            blob = (63 + 3 * k, 52 + k)
            socket.say("part", at=wants[:2])
            result = await ask(socket, part(blob, *wants))
            assert (result["type"], result["seq"], result["frame_index"]) == ("result", k, k + 1)
            (target,) = result["targets"]
            assert target["box"] == pytest.approx([*blob, 16, 16], abs=1)
            assert "missed" not in result
            wants = target["wants"]
        assert count(service, "siamfc_parts_total") == 4
        result = await ask(socket, blobs.frame(72, 55))
        assert (result["type"], result["frame_index"]) == ("result", 5)


@pytest.mark.parametrize(
    ("message", "slugs"),
    [
        pytest.param({"at": [100, 18]}, ["invalid-part"], id="sticks out"),
        pytest.param({"at": [-2, 0]}, ["invalid-part"], id="negative"),
        pytest.param({"at": "28,18"}, ["invalid-part"], id="text"),
        pytest.param({}, ["invalid-part"], id="no corner"),
        pytest.param({"at": [10**12, 0]}, ["invalid-part"], id="far beyond"),
        pytest.param({"at": [28, 18], "of": 1}, ["invalid-request", "frame-size-changed"], id="a field too many"),
    ],
)
async def test_a_part_that_is_refused_is_not_counted(service: Running, message: Json, slugs: list[str]) -> None:
    session = await service.create()
    async with stream(service, session) as socket:
        await socket.receive()
        socket.say("part", **message)
        socket.send_frame(part((63, 52), *WANTED))
        answers = [await socket.receive() for _ in slugs]
        assert [slug(answer["problem"]) for answer in answers] == slugs
        assert [answer.get("seq") for answer in answers] == [None] * (len(slugs) - 1) + [0]
        result = await ask(socket, blobs.frame(63, 52))
        assert (result["seq"], result["frame_index"]) == (1, 1)


async def test_every_frame_under_way_has_its_own_part(service: Running) -> None:
    session = await service.create()
    async with stream(service, session) as socket:
        await socket.receive()
        with service.predictor.held("respond") as begun:
            socket.send_frame(blobs.frame(61, 50))
            await reached(begun)
            for x in (16, 28, 999):
                socket.say("part", at=[x, 18])
                socket.send_frame(part((61, 50), 28, 18, 80, 80))
        answers = [await socket.receive() for _ in range(4)]
    assert [answer["type"] for answer in answers] == ["result", "result", "result", "error"]
    # The second is said to lie at (16, 18): the square seems to have moved by 12 px.
    assert answers[1]["targets"][0]["box"][0] == pytest.approx(49, abs=2)
    assert slug(answers[3]["problem"]) == "invalid-part"


async def test_a_box_drawn_on_a_part_over_the_socket(service: Running) -> None:
    session = await service.create()
    async with stream(service, session) as socket:
        await socket.receive()
        socket.say("set_target", id="new", box=[62, 52, 10, 12])
        socket.say("part", at=WANTED[:2])
        result = await ask(socket, part((60, 50), *WANTED))
        assert result["targets"][1]["box"] == [62, 52, 10, 12]
        socket.say("set_target", id="off", box=[0, 0, 10, 12])
        socket.say("part", at=WANTED[:2])
        complaint = await ask(socket, part((60, 50), *WANTED))
        assert slug(complaint["problem"]) == "invalid-box"
        assert (await socket.receive())["frame_index"] == 2
