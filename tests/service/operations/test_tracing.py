"""Traces sent to a collector in the test, over a real socket."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from service.operations.tracing import Tracing, TracingMiddleware

pytestmark = pytest.mark.anyio
Collector = tuple[str, queue.Queue[tuple[str, bytes]]]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector's base address, and the paths and bodies of its requests."""
    posted: queue.Queue[tuple[str, bytes]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.put((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", posted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _application() -> Starlette:
    async def page(_: object) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        for _ in range(3):
            await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    return Starlette(routes=[Route("/v1/model", page), Route("/healthz", page), WebSocketRoute("/stream", echo)])


def _names(body: bytes) -> list[str]:
    spans = ExportTraceServiceRequest.FromString(body)
    return [span.name for resource in spans.resource_spans for scope in resource.scope_spans for span in scope.spans]


async def test_a_request_is_one_span_and_a_probe_is_none(collector: Collector) -> None:
    url, posted = collector
    tracing = Tracing(url + "/")
    app = TracingMiddleware(_application(), tracing)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/v1/model")).text == "ok"
        assert (await client.get("/healthz")).text == "ok"
    tracing.close()
    path, body = posted.get(timeout=10)
    assert path == "/v1/traces"
    (name,) = _names(body)
    assert "/v1/model" in name
    assert b"siamfc-service" in body
    assert posted.empty()


async def test_a_socket_is_one_span_however_many_messages(
    collector: Collector,
) -> None:
    url, posted = collector
    tracing = Tracing(url)
    app = TracingMiddleware(_application(), tracing)
    messages = iter(
        [{"type": "websocket.connect"}] + [{"type": "websocket.receive", "text": str(number)} for number in range(3)]
    )
    sent = []

    async def receive() -> dict[str, str]:
        return next(messages)

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": "/stream", "headers": [], "query_string": b"", "subprotocols": []}
    await app(scope, receive, send)
    tracing.close()
    assert sent == ["websocket.accept"] + ["websocket.send"] * 3 + ["websocket.close"]
    assert len(_names(posted.get(timeout=10)[1])) == 1
