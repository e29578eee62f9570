"""A body is limited by its Content-Length and by the bytes that arrive."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.api.body_limit import BodyLimit
from service.errors import PayloadTooLarge

pytestmark = pytest.mark.anyio

LIMIT = 100


class Eater:
    """An application that reads its whole body and answers nothing."""

    def __init__(self) -> None:
        self.eaten = 0
        self.called = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.called = True
        more = scope["type"] == "http"
        while more:
            message = await receive()
            self.eaten += len(message.get("body", b""))
            more = message.get("more_body", False)


async def feed(length: bytes | None, chunks: Iterable[int], kind: str = "http") -> tuple[Eater, list[Message]]:
    """Send a request with that Content-Length and those chunks; returns the bytes read and the messages sent."""
    pieces = list(chunks)
    messages = [{"type": "http.request", "body": bytes(size), "more_body": True} for size in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    waiting, sent, eater = iter(messages), [], Eater()

    async def receive() -> Message:
        return next(waiting)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [] if length is None else [(b"content-length", length)]
    await BodyLimit(eater, LIMIT)({"type": kind, "headers": headers}, receive, send)
    return eater, sent


@pytest.mark.parametrize(
    ("length", "chunks"),
    [
        pytest.param(b"0", [], id="empty"),
        pytest.param(b"100", [100], id="the-most"),
        pytest.param(None, [50, 50], id="the-most-in-pieces"),
        pytest.param(b"5", [50, 50], id="more-than-it-says"),
        pytest.param(b"many", [10], id="length-of-words"),
        pytest.param(b"-5", [10], id="negative-length"),
    ],
)
async def test_a_body_within_the_limit_passes(length: bytes | None, chunks: list[int]) -> None:
    eater, sent = await feed(length, chunks)
    assert eater.eaten == sum(chunks)
    assert sent == []


@pytest.mark.parametrize("length", [b"101", b"1000000000000", b"9" * 5000], ids=["by-one", "far", "beyond-belief"])
async def test_a_content_length_over_the_limit_is_refused_unread(length: bytes) -> None:
    eater, (start, body) = await feed(length, [10])
    assert not eater.called
    assert start["status"] == 413
    headers = dict(start["headers"])
    assert headers[b"content-type"] == b"application/problem+json"
    assert int(headers[b"content-length"]) == len(body["body"])
    assert json.loads(body["body"])["type"] == "about:blank#payload-too-large"


@pytest.mark.parametrize(
    ("length", "chunks"),
    [
        pytest.param(None, [101], id="no-length"),
        pytest.param(None, [60, 41], id="in-pieces"),
        pytest.param(b"10", [1000], id="a-lie"),
        pytest.param(b"many", [60, 60], id="length-of-words"),
    ],
)
async def test_a_body_that_exceeds_the_limit_is_cut_off(length: bytes | None, chunks: list[int]) -> None:
    with pytest.raises(PayloadTooLarge, match="100 bytes"):
        await feed(length, chunks)


async def test_sockets_are_not_limited_here() -> None:
    eater, sent = await feed(b"1000000", [], kind="websocket")
    assert eater.called
    assert sent == []
