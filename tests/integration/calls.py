"""Helpers of an outside client, in the words of the contract: bodies, problems, sessions, streams."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.integration import scene
from tests.support.server import Server

PROTOCOL = "siamfc.v1"
ANSWER_S = 30.0
POLL_S = 0.02
Json = dict[str, Any]
T = TypeVar("T")


def http_client(server: Server, key: str | None = None) -> httpx.Client:
    """A client of that server; `key` as its bearer token."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=server.url, headers=headers, timeout=ANSWER_S, trust_env=False)


def multipart(frame: bytes | None = None, media: str = "image/jpeg", **parts: Any) -> Json:
    """The `files` of a multipart body: part `frame`, and text parts (lists become JSON)."""
    files: Json = {name: (None, part if isinstance(part, str) else json.dumps(part)) for name, part in parts.items()}
    if frame is not None:
        files["frame"] = ("frame", frame, media)
    return files


def create(client: httpx.Client, k: int = 0, path: int = 0, **body: Any) -> Json:
    """A new session on frame `k`, its one target the patch unless the body says otherwise."""
    if not body.keys() & {"box", "targets"}:
        body["box"] = scene.truth(k, path)
    response = client.post("/v1/sessions", json={"frame": scene.base64_frame(k, path), **body})
    assert response.status_code == 201, response.text
    session: Json = response.json()
    return session


@contextmanager
def session_on(client: httpx.Client, **body: Any) -> Iterator[Json]:
    """A session for the block, deleted afterwards whatever has become of it."""
    session = create(client, **body)
    try:
        yield session
    finally:
        assert client.delete(f"/v1/sessions/{session['session_id']}").status_code in (204, 404, 410)


def post_frame(client: httpx.Client, session_id: str, body: bytes, media: str = "image/jpeg") -> httpx.Response:
    """One more frame over HTTP."""
    return client.post(f"/v1/sessions/{session_id}/frames", content=body, headers={"Content-Type": media})


def state(client: httpx.Client, session_id: str) -> Json:
    """The session without what the passing of time changes."""
    response = client.get(f"/v1/sessions/{session_id}")
    assert response.status_code == 200, response.text
    return {name: value for name, value in response.json().items() if name != "expires_at"}


def slug(problem: Json) -> str:
    """The name at the end of a problem's type."""
    return re.split("[#/]", problem["type"])[-1]


def assert_problem_object(problem: Json, status: int, *slugs: str) -> None:
    """RFC 9457 members, that status and (if any are given) one of those slugs."""
    assert {"type", "title", "status", "detail"} <= problem.keys(), problem
    assert problem["status"] == status, problem
    assert all(isinstance(problem[name], str) and problem[name] for name in ("type", "title", "detail")), problem
    assert not slugs or slug(problem) in slugs, problem
    for error in problem.get("errors", []):
        assert error["pointer"] == "" or error["pointer"].removeprefix("#").startswith("/"), problem


def assert_problem(response: httpx.Response, status: int, *slugs: str) -> Json:
    """The response is that problem; returns it."""
    assert response.status_code == status, f"{response.status_code} {response.text}"
    assert response.headers["content-type"].split(";")[0] == "application/problem+json"
    problem: Json = response.json()
    assert_problem_object(problem, status, *slugs)
    return problem


def eventually(read: Callable[[], T], accept: Callable[[T], bool], deadline_s: float = ANSWER_S) -> T:
    """Read until the value is accepted; fails with the last value when that takes too long."""
    deadline = time.monotonic() + deadline_s
    never = threading.Event()
    while not accept(value := read()):
        assert time.monotonic() < deadline, f"still {value!r} after {deadline_s} s"
        never.wait(POLL_S)
    return value


def metric(client: httpx.Client, name: str) -> float:
    """The value of a metric without labels."""
    text = client.get("/metrics").text
    match = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert match, f"no metric {name} in\n{text}"
    return float(match[1])


@contextmanager
def stream(
    server: Server,
    session_id: str,
    query: str = "",
    *,
    subprotocols: Sequence[str] | None = (PROTOCOL,),
    headers: dict[str, str] | None = None,
) -> Iterator[ClientConnection]:
    """A socket of the session; nothing is read from it yet."""
    with connect(
        f"{server.socket_url}/v1/sessions/{session_id}/stream{query}",
        subprotocols=[Subprotocol(name) for name in subprotocols] if subprotocols is not None else None,
        additional_headers=headers,
        proxy=None,
        max_size=2**24,
        close_timeout=ANSWER_S,
    ) as connection:
        yield connection


def receive(connection: ClientConnection) -> Json:
    """The next message, which must be JSON text."""
    text = connection.recv(timeout=ANSWER_S)
    assert isinstance(text, str)
    message: Json = json.loads(text)
    return message


def receive_ready(connection: ClientConnection) -> Json:
    """The first message."""
    ready = receive(connection)
    assert ready["type"] == "ready", ready
    return ready


def say(connection: ClientConnection, **message: Any) -> None:
    """Send a text message."""
    connection.send(json.dumps(message))


def ask(connection: ClientConnection, body: bytes) -> Json:
    """Send a frame, receive its answer."""
    connection.send(body)
    return receive(connection)


def code_of(closed: ConnectionClosed) -> int:
    """The code that the server closed with."""
    assert closed.rcvd is not None, f"the connection was cut without a close frame: {closed}"
    return closed.rcvd.code


def close_code(connection: ClientConnection) -> int:
    """Read until the server has closed; the code it gave."""
    try:
        while True:
            connection.recv(timeout=ANSWER_S)
    except ConnectionClosed as closed:
        return code_of(closed)


def refusal_code(server: Server, session_id: str, query: str = "", **options: Any) -> int:
    """The close code of a connection that must be refused before `ready`."""
    with stream(server, session_id, query, **options) as connection:
        try:
            message = connection.recv(timeout=ANSWER_S)
        except ConnectionClosed as closed:
            return code_of(closed)
    raise AssertionError(f"not refused: {message!r}")
