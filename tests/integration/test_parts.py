"""Parts of frames with the real network, over real sockets: a frame and its covering part give the same box."""

from __future__ import annotations

import base64
import random

import httpx
import numpy as np
import pytest
from PIL import Image as Pillow
from websockets.sync.client import ClientConnection

from siamfc import Client, Result
from tests.integration import scene
from tests.integration.calls import Json, ask, assert_problem, receive_ready, say, session_on, slug, stream
from tests.support.server import Server

WIDTH, HEIGHT = 640, 480
FRAMES = 8


def picture(k: int) -> scene.Picture:
    """Frame `k` of a scene twelve times as large, with the patch in it that `scene` moves."""
    frame = np.asarray(Pillow.fromarray(scene.picture(0)).resize((WIDTH, HEIGHT), Pillow.Resampling.BICUBIC)).copy()
    x, y, w, h = map(int, scene.truth(k))
    frame[y + 100 : y + 100 + h, x + 200 : x + 200 + w] = scene.picture(k)[y : y + h, x : x + w]
    return frame


def truth(k: int) -> list[float]:
    """The patch's box in frame `k`."""
    x, y, w, h = scene.truth(k)
    return [x + 200, y + 100, w, h]


def start(client: httpx.Client) -> Json:
    """The body of a session on frame 0."""
    return {"frame": base64.b64encode(scene.encoded(picture(0), "PNG")).decode(), "box": truth(0)}


def cut(k: int, window: list[int], kind: str = "PNG", **options: object) -> bytes:
    """A part [x, y, w, h] of frame `k`."""
    x, y, w, h = window
    return scene.encoded(np.ascontiguousarray(picture(k)[y : y + h, x : x + w]), kind, **options)


def answer(connection: ClientConnection, k: int, window: list[int], kind: str = "PNG", **options: object) -> Json:
    """The answer to that part of frame `k`."""
    say(connection, type="part", at=window[:2])
    return ask(connection, cut(k, window, kind, **options))


def widened(wants: list[int], random_: random.Random) -> list[int]:
    """A random window that holds what is wanted."""
    x, y, w, h = wants
    left, top = random_.randrange(0, x + 1), random_.randrange(0, y + 1)
    right, bottom = random_.randint(x + w, WIDTH), random_.randint(y + h, HEIGHT)
    return [left, top, right - left, bottom - top]


@pytest.fixture
def session(client: httpx.Client) -> Json:
    made: Json = client.post("/v1/sessions", json=start(client)).json()
    return made


@pytest.mark.parametrize("seed", range(3))
def test_random_windows_around_what_is_wanted_give_the_whole_frames_digits(
    server: Server, client: httpx.Client, seed: int
) -> None:
    random_ = random.Random(seed)
    with (
        session_on(client, **start(client)) as whole,
        session_on(client, **start(client)) as partly,
        stream(server, whole["session_id"]) as one,
        stream(server, partly["session_id"]) as other,
    ):
        receive_ready(one)
        assert receive_ready(other)["parts"] is True
        wants = partly["targets"][0]["wants"]
        for k in range(1, FRAMES):
            window = wants if seed == 0 else widened(wants, random_)
            expected = ask(one, scene.encoded(picture(k), "PNG"))
            result = answer(other, k, window)
            assert result["targets"] == expected["targets"]
            assert "missed" not in result
            assert scene.overlap(result["targets"][0]["box"], truth(k)) > 0.5
            wants = result["targets"][0]["wants"]
            assert wants is not None
            assert wants[0] % 2 == wants[1] % 2 == 0


def test_jpeg_parts_give_nearly_the_box(server: Server, client: httpx.Client) -> None:
    with (
        session_on(client, **start(client)) as whole,
        session_on(client, **start(client)) as partly,
        stream(server, whole["session_id"]) as one,
        stream(server, partly["session_id"]) as other,
    ):
        receive_ready(one)
        receive_ready(other)
        apart, wants = [], partly["targets"][0]["wants"]
        for k in range(1, FRAMES):
            expected = ask(one, scene.encoded(picture(k), "JPEG", quality=95))
            result = answer(other, k, wants, "JPEG", quality=95)
            wants = result["targets"][0]["wants"]
            apart.append(np.abs(np.subtract(result["targets"][0]["box"], expected["targets"][0]["box"])).mean())
        assert np.mean(apart) < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_a_hostile_part_gets_no_wrong_answer_called_tracking(server: Server, client: httpx.Client, seed: int) -> None:
    random_ = random.Random(seed)
    with session_on(client, **start(client)) as made, stream(server, made["session_id"]) as connection:
        receive_ready(connection)
        for k in range(1, FRAMES):
            x, y = random_.randrange(WIDTH - 16), random_.randrange(HEIGHT - 16)
            window = [x, y, random_.randint(16, WIDTH - x), random_.randint(16, HEIGHT - y)]
            (target,) = answer(connection, k, window)["targets"]
            assert target["status"] != "tracking" or scene.overlap(target["box"], truth(k)) > 0.5
        result = ask(connection, scene.encoded(picture(FRAMES), "PNG"))
        for _ in range(6):
            result = ask(connection, scene.encoded(picture(FRAMES), "PNG"))
        assert result["targets"][0]["status"] == "tracking"
        assert scene.overlap(result["targets"][0]["box"], truth(FRAMES)) > 0.5


@pytest.mark.parametrize("streamed", [False, True], ids=["update", "stream"])
def test_the_client_sends_parts_by_itself(server: Server, streamed: bool) -> None:
    with Client(server.url) as client, Client(server.url, parts="never") as plain:
        pictures = [np.ascontiguousarray(picture(k)[..., ::-1]) for k in range(FRAMES)]
        with client.start(pictures[0], truth(0)) as partly, plain.start(pictures[0], truth(0)) as whole:
            expected = [whole.update(each).box for each in pictures[1:]]
            if streamed:
                found = [result.box for result in partly.stream(pictures[1:]) if isinstance(result, Result)]
            else:
                found = [partly.update(each).box for each in pictures[1:]]
            assert np.abs(np.subtract(found, expected)).mean() < 0.5
            assert partly.traffic.parts == partly.traffic.frames == FRAMES - 1
            assert partly.traffic.missed == 0
            assert partly.traffic.bytes_sent < whole.traffic.bytes_sent / 3
            assert whole.traffic.parts == 0


def test_refusals_over_http(client: httpx.Client, session: Json) -> None:
    path = f"/v1/sessions/{session['session_id']}/frames"
    headers = {"Content-Type": "image/png"}
    body = cut(1, [100, 100, 64, 48])
    for at in ("", "1", "1,2,3", "-2,0", "1.5,2", "x,y", "577,0", "0,433", "99999999999,0"):
        assert_problem(client.post(path, params={"at": at}, content=body, headers=headers), 422, "invalid-part")
    assert_problem(client.post(path, content=body, headers=headers), 409, "frame-size-changed")
    assert client.get(f"/v1/sessions/{session['session_id']}").json()["frame_index"] == 0
    result = client.post(path, params={"at": "576,432"}, content=body, headers=headers).json()
    assert (result["frame_index"], result["missed"]) == (1, ["0"])
    assert result["targets"][0]["status"] != "tracking"


def test_a_lost_target_wants_the_whole_frame(server: Server, client: httpx.Client, session: Json) -> None:
    with stream(server, session["session_id"]) as connection:
        receive_ready(connection)
        result = answer(connection, 1, [0, 0, 64, 48])
        assert result["missed"] == ["0"]
        (target,) = result["targets"]
        assert (target["status"], target["wants"]) == ("lost", None)
        assert target["box"] == truth(0)
        found = ask(connection, scene.encoded(picture(1), "PNG"))["targets"][0]
        assert found["status"] == "tracking"
        assert found["wants"] is not None


def test_a_frame_that_is_refused_leaves_the_socket_open(server: Server, client: httpx.Client, session: Json) -> None:
    with stream(server, session["session_id"]) as connection:
        receive_ready(connection)
        refused = answer(connection, 1, [0, 0, 64, 48])
        assert refused["type"] == "result"
        say(connection, type="part", at=[600, 0])
        refused = ask(connection, cut(1, [0, 0, 64, 48]))
        assert (refused["type"], refused["seq"], slug(refused["problem"])) == ("error", 1, "invalid-part")
        assert ask(connection, scene.encoded(picture(1), "PNG"))["frame_index"] == 2
