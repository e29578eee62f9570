"""The socket, message by message."""

from __future__ import annotations

import base64
import io

import httpx
import numpy as np
import pytest
from PIL import Image as Pillow

from tests.integration import scene
from tests.integration.calls import (
    Json,
    ask,
    assert_problem_object,
    post_frame,
    receive,
    receive_ready,
    say,
    session_on,
    slug,
    state,
    stream,
)
from tests.integration.conftest import SMALL
from tests.support.server import Server

OTHER_SIZE = scene.encoded(scene.picture(0)[:-1], "JPEG")
ELSEWHERE = [100.0, 80.0, 30.0, 24.0]


def ids(message: Json) -> list[str]:
    return [target["id"] for target in message["targets"]]


@pytest.mark.parametrize(
    ("query", "mode"),
    [
        pytest.param("", "every", id="default"),
        pytest.param("?mode=every&map=0", "every", id="every"),
        pytest.param("?mode=latest", "latest", id="latest"),
        pytest.param("?mode=latest&map=1", "latest", id="latest-with-map"),
    ],
)
def test_ready_comes_first(server: Server, client: httpx.Client, query: str, mode: str) -> None:
    with session_on(client) as session, stream(server, session["session_id"], query) as connection:
        ready = receive_ready(connection)
        assert ready["session_id"] == session["session_id"]
        assert ready["frame_index"] == 0
        assert ready["mode"] == mode
        assert ready["window"] >= 1


def test_frames_are_answered_one_by_one(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session, stream(server, session["session_id"]) as connection:
        receive_ready(connection)
        for k in range(1, 6):
            result = ask(connection, scene.frame(k))
            assert (result["type"], result["seq"], result["frame_index"]) == ("result", k - 1, k)
            assert result["timing_ms"].keys() >= {"decode", "queue", "infer", "total"}
            (target,) = result["targets"]
            assert target.keys() == {"id", "box", "score", "status", "wants"}
            assert scene.overlap(target["box"], scene.truth(k)) > 0.5
        after = client.get(f"/v1/sessions/{session['session_id']}").json()
        assert (after["frame_index"], after["targets"]) == (5, result["targets"])


def test_socket_and_http_give_the_same_boxes(server: Server, client: httpx.Client) -> None:
    with (
        session_on(client) as streamed,
        session_on(client) as posted,
        stream(server, streamed["session_id"]) as connection,
    ):
        receive_ready(connection)
        for k in range(1, 5):
            result = ask(connection, scene.frame(k))
            response = post_frame(client, posted["session_id"], scene.frame(k)).json()
            assert result["frame_index"] == response["frame_index"]
            assert result["targets"][0]["box"] == pytest.approx(response["targets"][0]["box"], abs=0.01)


def test_a_client_that_keeps_to_the_window_never_waits_in_vain(server: Server, client: httpx.Client) -> None:
    count = 10
    with session_on(client) as session, stream(server, session["session_id"]) as connection:
        window = receive_ready(connection)["window"]
        answers: list[Json] = []
        for k in range(1, count + 1):
            if k - 1 - len(answers) == window:
                answers.append(receive(connection))
            connection.send(scene.frame(k))
        answers += [receive(connection) for _ in range(count - len(answers))]
        assert [answer["seq"] for answer in answers] == list(range(count))
        assert [answer["frame_index"] for answer in answers] == list(range(1, count + 1))


def test_every_answers_a_flood_in_order(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session, stream(server, session["session_id"]) as connection:
        count = 3 * receive_ready(connection)["window"] + 2
        for k in range(1, count + 1):
            connection.send(scene.frame(k))
        answers = [receive(connection) for _ in range(count)]
        assert [(answer["type"], answer["seq"]) for answer in answers] == [("result", seq) for seq in range(count)]
        assert [answer["frame_index"] for answer in answers] == list(range(1, count + 1))


def test_latest_answers_the_newest_and_drops_the_rest(server: Server, client: httpx.Client) -> None:
    count = 24
    with session_on(client) as session, stream(server, session["session_id"], "?mode=latest") as connection:
        receive_ready(connection)
        for k in range(1, count + 1):
            connection.send(scene.frame(k))
        answers = [receive(connection) for _ in range(count)]
        assert [answer["seq"] for answer in answers] == list(range(count))
        dropped = [answer for answer in answers if answer["type"] == "dropped"]
        results = [answer for answer in answers if answer["type"] == "result"]
        assert len(dropped) + len(results) == count
        assert dropped, "a flood was worked off whole: nothing was dropped"
        assert all(answer.keys() == {"type", "seq"} for answer in dropped)
        assert answers[-1]["type"] == "result", "the newest frame must win"
        assert results[-1]["frame_index"] > results[0]["frame_index"] or len(results) == 1


def test_latest_keeps_a_frame_with_a_box_drawn_on_it(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session, stream(server, session["session_id"], "?mode=latest") as connection:
        receive_ready(connection)
        connection.send(scene.frame(1))
        say(connection, type="set_target", id="new", box=scene.truth(2))
        for k in range(2, 12):
            connection.send(scene.frame(k))
        answers = [receive(connection) for _ in range(11)]
        assert "new" in ids(answers[-1])
        assert (answers[1]["type"], ids(answers[1])) == ("result", ["0", "new"])


def test_response_map(server: Server, client: httpx.Client) -> None:
    targets = [{"id": "patch", "box": scene.truth(0)}, {"id": "ground", "box": ELSEWHERE}]
    model = client.get("/v1/model").json()
    side = model["upscaled_map_size"]
    with session_on(client, targets=targets) as session, stream(server, session["session_id"], "?map=1") as connection:
        receive_ready(connection)
        result = ask(connection, scene.frame(1))
        for target, before in zip(result["targets"], (scene.truth(0), ELSEWHERE), strict=True):
            with Pillow.open(io.BytesIO(base64.b64decode(target["response_map"], validate=True))) as image:
                assert (image.format, image.size) == ("PNG", (side, side))
                values = np.asarray(image.convert("L"))
            x, y, w, h = target["map_box"]
            assert w == pytest.approx(h)
            # One scale, so the map lies around where the target was.
            assert [x + w / 2, y + h / 2] == pytest.approx(
                [before[0] + before[2] / 2, before[1] + before[3] / 2], abs=0.1
            )
            row, column = np.unravel_index(values.argmax(), values.shape)
            peak = np.array([x + w * column / (side - 1), y + h * row / (side - 1)])
            center = np.array(target["box"][:2]) + np.array(target["box"][2:]) / 2
            # The map says where to about a cell; a box head says the centre within it.
            cell = w / (model["map_size"] - 1)
            assert np.abs(peak - center).max() < max(4, 1.5 * cell)


def test_no_response_map_unless_asked_for(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session, stream(server, session["session_id"], "?map=0") as connection:
        receive_ready(connection)
        assert "response_map" not in ask(connection, scene.frame(1))["targets"][0]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        pytest.param(b"", "invalid-image", id="empty"),
        pytest.param(b"not an image", "invalid-image", id="text"),
        pytest.param(scene.frame(1)[:900], "invalid-image", id="truncated"),
        pytest.param(OTHER_SIZE, "frame-size-changed", id="other-size"),
    ],
)
@pytest.mark.parametrize("mode", ["every", "latest"])
def test_a_bad_frame_fails_alone(server: Server, client: httpx.Client, body: bytes, name: str, mode: str) -> None:
    with session_on(client) as session, stream(server, session["session_id"], f"?mode={mode}") as connection:
        receive_ready(connection)
        assert ask(connection, scene.frame(1))["frame_index"] == 1
        before = state(client, session["session_id"])
        error = ask(connection, body)
        assert (error["type"], error["seq"]) == ("error", 1)
        assert_problem_object(error["problem"], error["problem"]["status"], name)
        assert state(client, session["session_id"]) == before
        result = ask(connection, scene.frame(2))
        assert (result["type"], result["seq"], result["frame_index"]) == ("result", 2, 2)


def test_bad_frames_among_good_ones_keep_the_order(server: Server, client: httpx.Client) -> None:
    bodies = [scene.frame(1), b"x", scene.frame(2), OTHER_SIZE, b"", scene.frame(3)]
    with session_on(client) as session, stream(server, session["session_id"]) as connection:
        receive_ready(connection)
        for body in bodies:
            connection.send(body)
        answers = [receive(connection) for _ in bodies]
        assert [answer["seq"] for answer in answers] == list(range(len(bodies)))
        assert [answer["type"] for answer in answers] == ["result", "error", "result", "error", "error", "result"]
        assert [answers[k]["frame_index"] for k in (0, 2, 5)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("target_id", "expected"),
    [pytest.param("0", ["0"], id="corrects"), pytest.param("new", ["0", "new"], id="adds")],
)
def test_set_target(server: Server, client: httpx.Client, target_id: str, expected: list[str]) -> None:
    with session_on(client, box=ELSEWHERE) as session, stream(server, session["session_id"]) as connection:
        receive_ready(connection)
        ask(connection, scene.frame(1))
        say(connection, type="set_target", id=target_id, box=scene.truth(2))
        result = ask(connection, scene.frame(2))
        assert (result["type"], result["seq"], ids(result)) == ("result", 1, expected)
        boxes = {target["id"]: target["box"] for target in result["targets"]}
        assert boxes[target_id] == scene.truth(2), "the box as drawn on this frame"
        result = ask(connection, scene.frame(3))
        boxes = {target["id"]: target["box"] for target in result["targets"]}
        assert scene.overlap(boxes[target_id], scene.truth(3)) > 0.5


def test_set_target_before_frames_under_way_applies_to_its_own(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session, stream(server, session["session_id"]) as connection:
        receive_ready(connection)
        connection.send(scene.frame(1))
        connection.send(scene.frame(2))
        say(connection, type="set_target", id="new", box=scene.truth(3))
        connection.send(scene.frame(3))
        assert [ids(receive(connection)) for _ in range(3)] == [["0"], ["0"], ["0", "new"]]


def test_remove_target(server: Server, client: httpx.Client) -> None:
    targets = [{"id": "a", "box": scene.truth(0)}, {"id": "b", "box": ELSEWHERE}]
    with session_on(client, targets=targets) as session, stream(server, session["session_id"]) as connection:
        receive_ready(connection)
        assert ids(ask(connection, scene.frame(1))) == ["a", "b"]
        say(connection, type="remove_target", id="a")
        assert ids(ask(connection, scene.frame(2))) == ["b"]
        say(connection, type="remove_target", id="a")
        error = receive(connection)
        assert error["type"] == "error"
        assert "seq" not in error
        assert_problem_object(error["problem"], 404)
        assert ids(ask(connection, scene.frame(3))) == ["b"]


def test_too_many_targets(small_server: Server, small_client: httpx.Client) -> None:
    most = int(SMALL["MAX_TARGETS"])
    targets = [{"box": ELSEWHERE}] * most
    with (
        session_on(small_client, targets=targets) as session,
        stream(small_server, session["session_id"]) as connection,
    ):
        receive_ready(connection)
        say(connection, type="set_target", id="one-more", box=ELSEWHERE)
        connection.send(scene.frame(1))
        first, second = receive(connection), receive(connection)
        errors = [message for message in (first, second) if message["type"] == "error"]
        results = [message for message in (first, second) if message["type"] == "result"]
        assert (len(errors), len(results)) == (1, 1)
        assert "seq" not in errors[0]
        assert_problem_object(errors[0]["problem"], 422)
        assert len(results[0]["targets"]) == most


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("hello", id="not-json"),
        pytest.param("{", id="broken-json"),
        pytest.param("[]", id="list"),
        pytest.param("null", id="null"),
        pytest.param("[" * 10_000, id="deep"),
        pytest.param("{}", id="no-type"),
        pytest.param('{"type": 1}', id="type-not-a-string"),
        pytest.param('{"type": ["end"]}', id="type-a-list"),
        pytest.param('{"type": "start"}', id="unknown-type"),
        pytest.param('{"type": "result", "seq": 0}', id="a-server-message"),
        pytest.param('{"type": "set_target", "id": "a"}', id="no-box"),
        pytest.param('{"type": "set_target", "box": [1, 1, 20, 20]}', id="no-id"),
        pytest.param('{"type": "set_target", "id": 7, "box": [1, 1, 20, 20]}', id="id-a-number"),
        pytest.param('{"type": "set_target", "id": "a", "box": [1, 1, 20]}', id="three-numbers"),
        pytest.param('{"type": "set_target", "id": "a", "box": [NaN, 1, 20, 20]}', id="nan"),
        pytest.param('{"type": "set_target", "id": "a", "box": [1e999, 1, 20, 20]}', id="infinite"),
        pytest.param('{"type": "set_target", "id": "a", "box": [1, 1, 0, 20]}', id="no-width"),
        pytest.param('{"type": "set_target", "id": "a", "box": "1,1,20,20"}', id="box-as-text"),
        pytest.param('{"type": "remove_target"}', id="remove-without-id"),
        pytest.param('{"type": "end"' + " " * 300_000 + "}", id="huge"),
    ],
)
def test_malformed_text(server: Server, client: httpx.Client, text: str) -> None:
    with session_on(client) as session, stream(server, session["session_id"]) as connection:
        receive_ready(connection)
        connection.send(text)
        error = receive(connection)
        assert error["type"] == "error"
        assert "seq" not in error
        assert_problem_object(error["problem"], error["problem"]["status"])
        result = ask(connection, scene.frame(1))
        assert (result["type"], result["seq"], ids(result)) == ("result", 0, ["0"])


def test_a_box_off_its_frame_spoils_no_frame(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session, stream(server, session["session_id"]) as connection:
        receive_ready(connection)
        say(connection, type="set_target", id="a", box=[500, 500, 20, 20])
        connection.send(scene.frame(1))
        messages = [receive(connection)]
        while "seq" not in messages[-1]:
            messages.append(receive(connection))
        problems = [message["problem"] for message in messages if message["type"] == "error"]
        assert [slug(problem) for problem in problems] == ["invalid-box"]
        assert ids(ask(connection, scene.frame(2))) == ["0"]
