"""A server that keeps the contract without a model: every counted frame moves every box one pixel to the right.

It runs on its own thread over real sockets, and can be told to misbehave on the network: see `Script`.
"""

from __future__ import annotations

import asyncio
import base64
import email
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import cv2
import numpy as np
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from siamfc.client.frames import content_type

RESPONSE_MAP = np.arange(35, dtype=np.uint8).reshape(5, 7)
"""The response map of every target."""
ENCODED_MAP = base64.b64encode(cv2.imencode(".png", RESPONSE_MAP)[1].tobytes()).decode()

PART_MARGIN = 4

STATUSES = {"unauthorized": 401, "session-not-found": 404, "target-not-found": 404}


@dataclass
class Script:
    """The faults of the server. Frames are named by the number they are counted as, from 1."""

    window: int = 4
    cut_unread: set[int] = field(default_factory=set)
    """Break the connection instead of counting the frame; once."""
    forget: set[int] = field(default_factory=set)
    """Forget every session and break the connection instead of counting the frame, as a server that dies; once."""
    cut_unanswered: set[int] = field(default_factory=set)
    """Count the frame, and break the connection instead of answering; once."""
    swallow: set[int] = field(default_factory=set)
    """Count the frame and do not answer: the answer is lost when the connection breaks later."""
    close: dict[int, int] = field(default_factory=dict)
    """Count the frame, answer it, and close with that code; once."""
    drop: set[int] = field(default_factory=set)
    """Answer the frame that would be counted so with `dropped`; once."""
    refuse_streams: list[int] = field(default_factory=list)
    """Close codes for the next connections, instead of `ready`."""
    refuse_calls: list[tuple[int, dict[str, str], dict[str, Any] | None]] = field(default_factory=list)
    """Status, headers and problem (or None: no problem at all) for the next HTTP calls."""
    poison: bytes | None = None
    """Break the connection whenever this frame comes."""
    mute: bool = False
    """Never answer a frame."""
    resumes: bool = False
    """Know connections by name, and bring what one has missed."""
    unavailable: list[bool] = field(default_factory=list)
    """For each of the next frames, whether to answer that the store was away, instead of counting it."""
    stalls: bool = False
    """Answer so to the frames behind such a one too, until that comes again."""
    silent: bool = False
    """Accept connections and never say `ready`."""
    parts: bool = False
    """Take parts of frames: say so, and want of every target what lies within PART_MARGIN pixels of it."""
    older_after: bool = False
    """After `forget`, be an older server, which takes no parts."""


class FakeServer:
    """See the module. `frames` and `controls` are what came over sockets, `corners` where each frame was said to begin,
    `queries` those of all connections, and `farewells` counts the connections that the client closed with a close
    frame.
    """

    def __init__(self, api_key: str | None = None) -> None:
        self.script = Script()
        self._awaited: bytes | None = None
        self.api_key = api_key
        self.sessions: dict[str, dict[str, Any]] = {}
        self.created: list[bytes] = []
        self.frames: list[bytes] = []
        self.corners: list[list[int] | None] = []
        self._corner: list[int] | None = None
        self.controls: list[dict[str, Any]] = []
        self.queries: list[str] = []
        self.farewells = 0
        self.url = ""
        self._journals: dict[str, list[dict[str, Any]]] = {}
        self._stop: asyncio.Event

    @contextmanager
    def running(self) -> Iterator[FakeServer]:
        loop = asyncio.new_event_loop()
        started = threading.Event()
        thread = threading.Thread(target=lambda: loop.run_until_complete(self._run(started)), daemon=True)
        thread.start()
        assert started.wait(10)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(self._stop.set)
            thread.join(10)
            assert not thread.is_alive()
            loop.close()

    async def _run(self, started: threading.Event) -> None:
        self._stop = asyncio.Event()
        connections: set[asyncio.Task[None]] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = cast("asyncio.Task[None]", asyncio.current_task())
            connections.add(task)
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                is_socket = b"upgrade: websocket" in head.lower()
                await (self._stream if is_socket else self._call)(head, reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                pass
            finally:
                connections.discard(task)
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await self._stop.wait()
        server.close()
        for task in tuple(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    # HTTP

    async def _call(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, _, rest = head.partition(b"\r\n")
        method, target, _ = line.decode().split(" ")
        headers = email.message_from_bytes(rest)
        body = await reader.readexactly(int(headers.get("Content-Length", 0)))
        status, extra, answer = self._answer(method, target, headers, body)
        payload = b"" if answer is None else json.dumps(answer).encode()
        kind = "application/problem+json" if status >= 400 and answer is not None else "application/json"
        fields = {"Content-Length": str(len(payload)), "Content-Type": kind, "Connection": "close", **extra}
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + payload)
        await writer.drain()

    def _answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], Any]:
        if self.script.refuse_calls:
            return self.script.refuse_calls.pop(0)
        if not self._allowed(headers):
            return 401, {"WWW-Authenticate": "Bearer"}, problem("unauthorized")
        parts = [unquote(part) for part in urlsplit(target).path.split("/")][2:]
        if method == "GET" and parts == ["model"]:
            return 200, {}, {"network": "fake", "stride": 8}
        if method == "POST" and parts == ["sessions"]:
            return self._create(headers["Content-Type"], body)
        session = self.sessions.get(parts[1])
        if session is None:
            return 404, {}, problem("session-not-found")
        if method == "GET":
            return 200, {}, session
        if len(parts) == 2:
            del self.sessions[parts[1]]
        elif not self._remove(session, parts[3]):
            return 404, {}, problem("target-not-found")
        return 204, {}, None

    def _create(self, kind: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        if kind.startswith("application/json"):
            form = json.loads(body)
            frame, targets = base64.b64decode(form["frame"]), form["targets"]
        else:
            message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
            form = {part.get_param("name", header="Content-Disposition"): part for part in message.walk()}
            frame, targets = form["frame"].get_payload(decode=True), json.loads(form["targets"].get_payload())
            if form["frame"].get_content_type() != content_type(frame):
                return 415, {}, None
        self.created.append(frame)
        if content_type(frame) == "application/octet-stream":
            return 422, {}, problem("invalid-image")
        if any(target["box"][2] < 1 for target in targets):
            return 422, {}, problem("invalid-box") | {"errors": [{"pointer": "/targets/0/box", "detail": "too narrow"}]}
        session_id = f"s{len(self.created)}"
        self.sessions[session_id] = {
            "session_id": session_id,
            "frame_index": 0,
            "frame_size": [64, 48],
            "targets": [track(target.get("id", str(i)), target["box"]) for i, target in enumerate(targets)],
            "stream_url": f"/v1/sessions/{session_id}/stream",
            "created_at": "2026-01-02T03:04:05Z",
            "expires_at": "2026-01-02T03:14:05Z",
        }
        return 201, {"Location": f"/v1/sessions/{session_id}"}, self.sessions[session_id]

    # Socket

    async def _stream(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        protocol = ServerProtocol(subprotocols=[Subprotocol("siamfc.v1")])
        protocol.receive_data(head)
        request = protocol.events_received()[0]
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        url = urlsplit(request.path)
        self.queries.append(url.query)
        session = self.sessions.get(unquote(url.path.split("/")[3]))
        code = self.script.refuse_streams.pop(0) if self.script.refuse_streams else None
        code = code or (None if self._allowed(request.headers) else 1008) or (4404 if session is None else None)
        if code is not None or session is None:
            protocol.send_close(code)
        elif not self.script.silent:
            self._greet(protocol, session, parse_qs(url.query))
        await _flush(protocol, writer)
        seq = 0
        journal = self._journals[f"c{len(self.queries)}"] = []
        async for frame in _messages(protocol, reader, writer):
            self.farewells += frame.opcode is Opcode.CLOSE
            if session is None or protocol.state is not State.OPEN:
                continue
            if frame.opcode is Opcode.TEXT:
                self._control(protocol, session, json.loads(bytes(frame.data)))
            elif self._frame(protocol, session, bytes(frame.data), seq, "map=1" in url.query, journal):
                seq += 1
            else:
                # No close frame, but no reset either, which could take earlier answers with it.
                writer.write_eof()
                while await reader.read(65536):
                    pass
                return
            await _flush(protocol, writer)

    def _greet(self, protocol: ServerProtocol, session: dict[str, Any], query: dict[str, list[str]]) -> None:
        extra: dict[str, Any] = {}
        if self.script.resumes:
            extra["connection"] = f"c{len(self.queries)}"
            token, _, seq = query.get("resume", [""])[0].partition(":")
            if token in self._journals:
                extra["missed"] = [answer for answer in self._journals[token] if answer["seq"] >= int(seq)]
        index, window = session["frame_index"], self.script.window
        if self.script.parts:
            extra["parts"] = True
        _say(protocol, type="ready", frame_index=index, window=window, mode=query["mode"][0], **extra)

    def _frame(
        self,
        protocol: ServerProtocol,
        session: dict[str, Any],
        data: bytes,
        seq: int,
        maps: bool,
        journal: list[dict[str, Any]],
    ) -> bool:
        """Answer a frame; False to break the connection."""
        self.frames.append(data)
        self.corners.append(self._corner)
        self._corner = None
        script, number = self.script, session["frame_index"] + 1
        if script.mute or data == script.poison:
            return script.mute
        if content_type(data) == "application/octet-stream":
            _say(protocol, type="error", seq=seq, problem=problem("invalid-image"))
            return True
        behind = self._awaited is not None and data != self._awaited
        if behind or (script.unavailable and script.unavailable.pop(0)):
            self._awaited = self._awaited if behind else data if script.stalls else None
            _say(protocol, type="error", seq=seq, problem=problem("store-unavailable"))
            return True
        self._awaited = None
        if _once(script.drop, number):
            _say(protocol, type="dropped", seq=seq)
            return True
        if _once(script.forget, number):
            self.sessions.clear()
            script.parts = script.parts and not script.older_after
            return False
        if _once(script.cut_unread, number):
            return False
        session["frame_index"] = number
        for target in session["targets"]:
            target["box"][0] += 1
        extra = {"response_map": ENCODED_MAP, "map_box": [1, 2, 3, 4]} if maps else {}
        targets = [target | {"box": list(target["box"])} | self._wants(target) | extra for target in session["targets"]]
        timing = {"decode": 1.0, "queue": 0.0, "infer": 2.0, "total": 3.0}
        answer = {"type": "result", "seq": seq, "frame_index": number, "targets": targets, "timing_ms": timing}
        journal.append(answer)
        if _once(script.cut_unanswered, number):
            return False
        if _once(script.swallow, number):
            return True
        _say(protocol, **answer)
        if number in script.close:
            protocol.send_close(script.close.pop(number))
        return True

    def _control(self, protocol: ServerProtocol, session: dict[str, Any], message: dict[str, Any]) -> None:
        self.controls.append(message)
        if message["type"] == "part":
            self._corner = message["at"]
        elif message["type"] == "set_target" and message["box"][2] < 1:
            _say(protocol, type="error", problem=problem("invalid-box"))
        elif message["type"] == "set_target":
            self._remove(session, message["id"])
            # Drawn on the next frame, which moves it with the others.
            x, *rest = message["box"]
            session["targets"].append(track(message["id"], [x - 1, *rest]))
        elif message["type"] == "remove_target" and not self._remove(session, message["id"]):
            _say(protocol, type="error", problem=problem("target-not-found"))

    def _wants(self, target: dict[str, Any]) -> dict[str, Any]:
        if not self.script.parts:
            return {}
        x, y, w, h = map(int, target["box"])
        left, top = max(0, x - PART_MARGIN) // 2 * 2, max(0, y - PART_MARGIN) // 2 * 2
        return {"wants": [left, top, x + w + PART_MARGIN - left, y + h + PART_MARGIN - top]}

    def _remove(self, session: dict[str, Any], target_id: str) -> bool:
        before = len(session["targets"])
        session["targets"] = [target for target in session["targets"] if target["id"] != target_id]
        return len(session["targets"]) < before

    def _allowed(self, headers: Any) -> bool:
        return self.api_key is None or headers.get("Authorization") == f"Bearer {self.api_key}"


def problem(slug: str) -> dict[str, Any]:
    """The problem object of a refusal."""
    return {"type": f"about:blank#{slug}", "title": slug, "status": STATUSES.get(slug, 422), "detail": f"it is {slug}"}


def track(target_id: str, box: list[float]) -> dict[str, Any]:
    """A target as it stands in JSON."""
    return {"id": target_id, "box": [float(value) for value in box], "score": 0.9, "status": "tracking"}


def _say(protocol: ServerProtocol, **message: Any) -> None:
    protocol.send_text(json.dumps(message).encode())


def _once(numbers: set[int], number: int) -> bool:
    if number not in numbers:
        return False
    numbers.discard(number)
    return True


async def _messages(
    protocol: ServerProtocol, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> AsyncIterator[Frame]:
    while True:
        for event in protocol.events_received():
            assert isinstance(event, Frame)
            yield event
        data = await reader.read(65536)
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
            return
        await _flush(protocol, writer)


async def _flush(protocol: ServerProtocol, writer: asyncio.StreamWriter) -> None:
    for data in protocol.data_to_send():
        if data:
            writer.write(data)
        else:
            writer.write_eof()
    await writer.drain()
