"""The socket from its handshake to its close: negotiation, end, reconnection, close codes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.integration import scene
from tests.integration.calls import (
    PROTOCOL,
    Json,
    ask,
    assert_problem,
    close_code,
    code_of,
    create,
    eventually,
    multipart,
    post_frame,
    receive,
    receive_ready,
    refusal_code,
    say,
    session_on,
    stream,
)
from tests.integration.conftest import SMALL
from tests.support.server import Server


def test_end(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session:
        with stream(server, session["session_id"]) as connection:
            receive_ready(connection)
            for k in range(1, 4):
                connection.send(scene.frame(k))
            say(connection, type="end")
            assert [receive(connection)["seq"] for _ in range(3)] == [0, 1, 2]
            assert receive(connection) == {"type": "bye"}
            assert close_code(connection) == 1000
        assert client.get(f"/v1/sessions/{session['session_id']}").json()["frame_index"] == 3
        assert post_frame(client, session["session_id"], scene.frame(4)).status_code == 200


def test_a_session_goes_on_through_a_new_connection(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session:
        for first in (1, 3):
            with stream(server, session["session_id"]) as connection:
                assert receive_ready(connection)["frame_index"] == first - 1
                for seq, k in enumerate((first, first + 1)):
                    result = ask(connection, scene.frame(k))
                    assert (result["seq"], result["frame_index"]) == (seq, k)
                    assert scene.overlap(result["targets"][0]["box"], scene.truth(k)) > 0.5
                say(connection, type="end")
                assert close_code(connection) == 1000


def test_a_dropped_connection_loses_only_what_was_unanswered(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session:
        with stream(server, session["session_id"]) as connection:
            receive_ready(connection)
            answered = [ask(connection, scene.frame(k)) for k in (1, 2)][-1]
            for k in range(3, 8):
                connection.send(scene.frame(k))
            connection.socket.close()

        def answer_through_a_new_connection() -> Json | None:
            """None while the server has not noticed that the old connection is gone."""
            with stream(server, session["session_id"]) as again:
                try:
                    receive_ready(again)
                except ConnectionClosed as closed:
                    code = code_of(closed)
                    assert code == 4409, code
                    return None
                return ask(again, scene.frame(8))

        result = eventually(answer_through_a_new_connection, bool)
        assert result is not None
        assert result["frame_index"] > answered["frame_index"]
        assert scene.overlap(result["targets"][0]["box"], scene.truth(8)) > 0.3


def test_one_connection_drives_a_session(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session:
        with stream(server, session["session_id"]) as connection:
            receive_ready(connection)
            assert refusal_code(server, session["session_id"]) == 4409
            path = f"/v1/sessions/{session['session_id']}"
            box = ",".join(map(str, scene.truth(1)))
            assert_problem(post_frame(client, session["session_id"], scene.frame(1)), 409, "session-busy")
            put = client.put(f"{path}/targets/0", files=multipart(scene.frame(1), box=box))
            assert_problem(put, 409, "session-busy")
            assert client.get(path).json()["frame_index"] == 0
            assert ask(connection, scene.frame(1))["frame_index"] == 1
        eventually(
            lambda: post_frame(client, session["session_id"], scene.frame(2)).status_code, lambda code: code == 200
        )


def test_delete_closes_the_socket(server: Server, client: httpx.Client) -> None:
    session_id = create(client)["session_id"]
    with stream(server, session_id) as connection:
        receive_ready(connection)
        ask(connection, scene.frame(1))
        assert client.delete(f"/v1/sessions/{session_id}").status_code == 204
        assert close_code(connection) == 4410
    assert refusal_code(server, session_id) in (4404, 4410)


def test_delete_under_load_answers_or_closes(server: Server, client: httpx.Client) -> None:
    session_id = create(client)["session_id"]
    with stream(server, session_id) as connection:
        receive_ready(connection)
        for k in range(1, 8):
            connection.send(scene.frame(k))
        assert client.delete(f"/v1/sessions/{session_id}").status_code == 204
        assert close_code(connection) == 4410


def test_expiry_closes_the_socket(server: Server, client: httpx.Client) -> None:
    session_id = create(client, ttl_s=0.4)["session_id"]
    with stream(server, session_id) as connection:
        receive_ready(connection)
        assert close_code(connection) == 4410
    assert client.get(f"/v1/sessions/{session_id}").status_code in (404, 410)


@pytest.mark.parametrize("session_id", ["nope", "0" * 32, "%00", "x" * 2000])
def test_unknown_session(server: Server, session_id: str) -> None:
    assert refusal_code(server, session_id) == 4404


@pytest.mark.parametrize("query", ["?mode=fast", "?mode=", "?map=2", "?map=yes"])
def test_bad_query(server: Server, client: httpx.Client, query: str) -> None:
    with session_on(client) as session:
        assert refusal_code(server, session["session_id"], query) not in (1000, 1005, 1006, 1011)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        pytest.param(None, None, id="none-offered"),
        pytest.param((PROTOCOL,), PROTOCOL, id="ours"),
        pytest.param(("other", PROTOCOL), PROTOCOL, id="ours-among-others"),
    ],
)
def test_subprotocol(server: Server, client: httpx.Client, offered: Any, chosen: str | None) -> None:
    with session_on(client) as session, stream(server, session["session_id"], subprotocols=offered) as connection:
        assert connection.subprotocol == chosen
        receive_ready(connection)


def test_unknown_subprotocols_are_refused(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session:
        try:
            code = refusal_code(server, session["session_id"], subprotocols=("siamfc.v9", "other"))
        except InvalidStatus as error:
            code = error.response.status_code
        assert code not in (1000, 1005, 1006, 1011)


def test_compression_is_off(server: Server, client: httpx.Client) -> None:
    with session_on(client) as session, stream(server, session["session_id"]) as connection:
        receive_ready(connection)
        assert connection.response is not None
        assert "sec-websocket-extensions" not in connection.response.headers


def test_a_message_that_is_too_big(small_server: Server, small_client: httpx.Client) -> None:
    with session_on(small_client) as session:
        with stream(small_server, session["session_id"]) as connection:
            receive_ready(connection)
            ask(connection, scene.frame(1))
            connection.send(bytes(int(SMALL["MAX_FRAME_BYTES"]) + 1))
            assert close_code(connection) == 1009

        def frame_index() -> int:
            response = post_frame(small_client, session["session_id"], scene.frame(2))
            return response.json()["frame_index"] if response.status_code == 200 else 0

        assert eventually(frame_index, bool) == 2


def test_a_plain_http_request_to_the_stream_is_a_problem(client: httpx.Client) -> None:
    with session_on(client) as session:
        response = client.get(session["stream_url"])
        assert 400 <= response.status_code < 500
        assert_problem(response, response.status_code)
