"""Clients of a real server, as many as wanted in one event loop: footage, sessions, paced and closed-loop streams."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import cv2
import httpx
import numpy as np
import uvloop
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect

from benchmarks._redis import running_redis
from benchmarks._scenes import translation
from benchmarks._server import START_DEADLINE_S, Server, running_server
from model.checkpoints import find_weights, load_weights
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor

Json = dict[str, Any]
T = TypeVar("T")
SHARES = (50, 95, 99)
_ANSWER_S = 120.0
_POLL_S = 0.2
_GAUGES = ("siamfc_sessions_active", "siamfc_slots_used", "siamfc_streams")


@dataclass(frozen=True)
class Chosen:
    """The network for the server and for this process, by the settings of the same names."""

    weights: Path | None = None
    runtime: str = "auto"
    precision: str = "auto"
    threads: int = 0

    def settings(self, **more: object) -> dict[str, str]:
        """Settings of a server, by name without prefix."""
        given: dict[str, object] = {"RUNTIME": self.runtime, "PRECISION": self.precision, "THREADS": self.threads}
        if self.weights is not None:
            given["WEIGHTS"] = find_weights(self.weights).resolve()
        return {name: str(value) for name, value in (given | more).items()}

    def predictor(self, model: Json, batch_max: int = 1) -> Predictor:
        """The network in this process, run as the server runs it, by what that says of its `model`."""
        return load_predictor(
            load_weights(find_weights(self.weights)),
            device=model["device"],
            precision=model["precision"],
            runtime=model["runtime"],
            threads=self.threads,
            batch_max=batch_max,
        )


@contextmanager
def serving(chosen: Chosen, **more: object) -> Iterator[Server]:
    """A server for the block. It refuses nobody for being behind: that is what is measured."""
    with TemporaryDirectory() as folder:
        settings = {"MAX_QUEUE_MS": "0"} | chosen.settings(**more)
        with running_server(Path(folder) / "log", **settings) as server:
            yield server


@contextmanager
def serving_workers(chosen: Chosen, workers: int, **more: object) -> Iterator[Server]:
    """`serving` with so many worker processes, over a Redis of its own if there are several; all of them are ready."""
    with ExitStack() as stack:
        if workers > 1:
            redis = stack.enter_context(running_redis(Path(stack.enter_context(TemporaryDirectory()))))
            more |= {"STORE": redis.url, "WORKERS": workers}
        server = stack.enter_context(serving(chosen, **more))
        if workers > 1:
            run_loop(_all_up(server, workers))
        yield server


async def _all_up(server: Server, workers: int) -> None:
    pattern = r'^siamfc_worker_up\{worker="\d+"\} 1'
    async with asyncio.timeout(START_DEADLINE_S), client_of(server) as client:
        while len(re.findall(pattern, (await client.get("/metrics")).text, re.M)) < workers:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run it on uvloop, as the server does: the clients must not be what is slow."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


@dataclass(frozen=True)
class Footage:
    """Encoded frames of one scene, and its target's box in the first; played to and fro, so that it never jumps."""

    frames: tuple[bytes, ...]
    box: list[float]
    size: tuple[int, int]

    @classmethod
    def rendered(cls, width: int = 640, frames: int = 40) -> Footage:
        """A face that crosses a picture, JPEG, so many pixels wide."""
        scene = translation(frames)
        factor = width / scene.size[0]
        size = (width, round(scene.size[1] * factor))
        pictures = (cv2.resize(frame[..., ::-1], size, interpolation=cv2.INTER_CUBIC) for frame in scene.frames)
        return cls(tuple(cv2.imencode(".jpg", each)[1].tobytes() for each in pictures), [
            round(factor * value, 2) for value in scene.truth[0].tolist()
        ], size)  # fmt: skip

    def __getitem__(self, index: int) -> bytes:
        turn = 2 * (len(self.frames) - 1)
        at = index % turn
        return self.frames[min(at, turn - at)]

    def boxes(self, count: int) -> list[list[float]]:
        """The target's box, and others on a grid."""
        w, h = self.box[2:]
        wide, high = self.size[0] - w, self.size[1] - h
        places = ((wide * (k % 5) / 5, high * (k // 5) / 5) for k in range(count - 1))
        return [self.box, *([left, top, w, h] for left, top in places)]


@dataclass
class Streamed:
    """One stream: when each frame was sent and each answer came (seconds), and the answers."""

    sent: list[float] = field(default_factory=list)
    came: list[float] = field(default_factory=list)
    answers: list[Json] = field(default_factory=list)

    @property
    def in_order(self) -> bool:
        """Whether every frame sent was answered once, in order."""
        return [answer.get("seq") for answer in self.answers] == list(range(len(self.sent)))

    def kinds(self, after: float = 0.0) -> list[str]:
        """The types of the answers to frames sent after that moment."""
        return [answer["type"] for at, answer in zip(self.sent, self.answers, strict=False) if at >= after]

    def latencies_ms(self, after: float = 0.0) -> list[float]:
        """From sending to the result, of frames sent after that moment."""
        rows = zip(self.sent, self.came, self.answers, strict=False)
        return [1e3 * (came - sent) for sent, came, answer in rows if sent >= after and answer["type"] == "result"]


@asynccontextmanager
async def client_of(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client with room for a crowd."""
    limits = httpx.Limits(max_connections=32)
    async with httpx.AsyncClient(base_url=server.url, timeout=_ANSWER_S, trust_env=False, limits=limits) as client:
        yield client


@asynccontextmanager
async def sessions(
    client: httpx.AsyncClient, footage: Footage, count: int, targets: int = 1
) -> AsyncIterator[list[Json]]:
    """So many sessions for the block, each of so many targets."""
    made = await asyncio.gather(*(create(client, footage, targets) for _ in range(count)))
    try:
        yield made
    finally:
        await asyncio.gather(*(delete(client, session) for session in made))


async def model_of(client: httpx.AsyncClient) -> Json:
    """The server's network, device, runtime and precision."""
    model = (await client.get("/v1/model")).json()
    return {name: model[name] for name in ("network", "device", "runtime", "precision")}


async def create(client: httpx.AsyncClient, footage: Footage, targets: int = 1) -> Json:
    """A session on the footage's first frame."""
    drawn = json.dumps([{"box": box} for box in footage.boxes(targets)])
    made = await client.post("/v1/sessions", files={"frame": footage[0]}, data={"targets": drawn})
    made.raise_for_status()
    session: Json = made.json()
    return session


async def delete(client: httpx.AsyncClient, session: Json) -> None:
    """End a session."""
    (await client.delete(f"/v1/sessions/{session['session_id']}")).raise_for_status()


@asynccontextmanager
async def socket_of(server: Server, session: Json, query: str = "") -> AsyncIterator[tuple[ClientConnection, Json]]:
    """The session's socket, and what `ready` said."""
    async with connect(
        f"{server.socket_url}{session['stream_url']}{query}", compression=None, proxy=None, open_timeout=_ANSWER_S
    ) as socket:
        yield socket, json.loads(await socket.recv())


async def camera(
    server: Server, session: Json, footage: Footage, *, fps: float, seconds: float, first: float
) -> Streamed:
    """A camera that sends at its own pace in `latest`, from the moment `first` (of `time.perf_counter`) on."""
    streamed, count = Streamed(), max(1, round(fps * seconds))
    async with socket_of(server, session, "?mode=latest") as (socket, _):

        async def send() -> None:
            for index in range(count):
                await asyncio.sleep(max(0.0, first + index / fps - time.perf_counter()))
                streamed.sent.append(time.perf_counter())
                await socket.send(footage[index + 1])

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            while len(streamed.answers) < count:
                await _receive(socket, streamed)
    return streamed


async def flood(
    server: Server, session: Json, footage: Footage, *, frames: int = 0, seconds: float = 0.0, window: int = 0
) -> Streamed:
    """A client in `every` that keeps its window full, for so many frames or seconds; `window` 0: the server's."""
    streamed = Streamed()
    async with socket_of(server, session) as (socket, ready):
        most, ends = window or ready["window"], time.perf_counter() + seconds
        while len(streamed.sent) < frames or time.perf_counter() < ends:
            if len(streamed.sent) - len(streamed.answers) == most:
                await _receive(socket, streamed)
            streamed.sent.append(time.perf_counter())
            await socket.send(footage[len(streamed.sent)])
        while len(streamed.answers) < len(streamed.sent):
            await _receive(socket, streamed)
    return streamed


async def _receive(socket: ClientConnection, streamed: Streamed) -> None:
    async with asyncio.timeout(_ANSWER_S):
        text = await socket.recv()
    streamed.came.append(time.perf_counter())
    streamed.answers.append(json.loads(text))


def percentiles(values: Sequence[float] | NDArray[np.float64], digits: int = 1) -> dict[str, float] | None:
    """p50, p95, p99; None of nothing."""
    if not len(values):
        return None
    return {f"p{share}": round(float(np.percentile(values, share)), digits) for share in SHARES}


async def stage_sums(client: httpx.AsyncClient) -> dict[str, tuple[float, float]]:
    """By stage: seconds and frames so far, as /metrics says; of several workers together."""
    text = (await client.get("/metrics")).text
    found: dict[str, dict[str, float]] = {}
    pattern = r'^siamfc_frame_stage_seconds_(sum|count)\{stage="(\w+)"[^}]*\} (\S+)'
    for kind, stage, value in re.findall(pattern, text, re.M):
        sums = found.setdefault(stage, {"sum": 0.0, "count": 0.0})
        sums[kind] += float(value)
    return {stage: (each["sum"], each["count"]) for stage, each in found.items()}


def stages_ms(before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]) -> dict[str, float]:
    """Mean milliseconds of a frame by stage between two readings."""
    means = {}
    for stage, (seconds, frames) in after.items():
        old_seconds, old_frames = before.get(stage, (0.0, 0.0))
        if frames > old_frames:
            means[stage] = round(1e3 * (seconds - old_seconds) / (frames - old_frames), 2)
    return means


async def gauges(client: httpx.AsyncClient, server: Server) -> dict[str, float]:
    """The server's gauges, and its resident memory in MB."""
    text = (await client.get("/metrics")).text
    values = {name: float(re.findall(rf"^{name} (\S+)", text, re.M)[0]) for name in _GAUGES}
    return values | {"resident_mb": round(resident_bytes(server) / 2**20, 1)}


def resident_bytes(server: Server) -> int:
    """The server's resident memory; 0 where the system does not say."""
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        return 0
    return 1024 * int(re.findall(r"VmRSS:\s+(\d+)", status.read_text(encoding="ascii"))[0])
