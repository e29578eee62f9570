"""Replicas that die: two servers over one Redis, a balancer before them, and one of them killed every five seconds.

The options `seconds` and `fps` (of each client) suit it to a slow machine.

Every client streams the same rendered scene through the client library, paced like a camera that is slow enough for
one replica to serve all. Each kill is `kill -9` of a random replica, which is started again at once; the next one waits
until that answers, where this takes longer than five seconds. Shown: whether
every frame was answered once, in order, and counted once; how far the boxes are from those of an undisturbed run; and
how long a client whose replica died waited until it could go on at the other one.

Needs `redis-server`. The weights are the bundled ones.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from benchmarks._balancer import Balancer
from benchmarks._machine import facts
from benchmarks._redis import RedisServer, running_redis
from benchmarks._scenes import translation
from benchmarks._server import Server, free_port, launch, running_server
from benchmarks._streams import Footage
from siamfc import Answer, AsyncClient, ClientError, Reconnect, Result

CLIENTS, REPLICAS = 16, 2
KILL_EVERY_S = 5.0
_ONCE = "clients_with_every_frame_answered_and_counted_once"


@dataclass
class Replica:
    """One server's place: its port, its process now, and since when it answers."""

    port: int
    log: Path
    server: Server | None = None
    ready_at: float | None = None


@dataclass
class Kill:
    """One kill: which port, and when. The other replicas could be reached then."""

    port: int
    at: float


@dataclass
class ClientRun:
    """One client's run: its session, answers, the times of frames and answers, and the error that ended it, if any."""

    session_id: str = ""
    given: list[float] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    error: str | None = None


def run(seconds: float = 120.0, fps: float = 1.0) -> dict[str, Any]:
    """Measure `CLIENTS` streams over `REPLICAS` replicas for so many seconds, `fps` frames a second each."""
    machine = facts()
    count = max(2, int(seconds * fps))
    scene = translation(min(count + 1, 60))
    pictures = tuple(cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes() for frame in scene.frames)
    # The scene may be shorter than the test.
    footage = Footage(pictures, scene.truth[0].tolist(), scene.size)
    frames, box = [footage[index] for index in range(count + 1)], footage.box
    with tempfile.TemporaryDirectory() as folder:
        calm = _undisturbed(Path(folder), frames, box)
        with running_redis(Path(folder)) as redis:
            return {"machine": machine} | asyncio.run(_chaos(Path(folder), redis, frames, box, fps, calm))


def _undisturbed(folder: Path, frames: Sequence[bytes], box: Sequence[float]) -> list[tuple[float, ...]]:
    async def follow(server: Server) -> ClientRun:
        return await _client(server.url, frames, box, 0.0)

    with running_server(folder / "calm.log") as server:
        alone = asyncio.run(follow(server))
    assert alone.error is None, alone.error
    return [answer.box for answer in alone.answers if isinstance(answer, Result)]


async def _chaos(
    folder: Path,
    redis: RedisServer,
    frames: Sequence[bytes],
    box: Sequence[float],
    fps: float,
    calm: list[tuple[float, ...]],
) -> dict[str, Any]:
    replicas = [Replica(free_port(), folder / f"replica-{number}.log") for number in range(REPLICAS)]
    kills: list[Kill] = []
    settings = {"STORE": redis.url, "THREADS": "1"}
    try:
        for replica in replicas:
            _start(replica, settings)
        await asyncio.gather(*map(_ready, replicas))
        async with Balancer([replica.port for replica in replicas]).running() as balancer:
            killing = asyncio.create_task(_kill_on(replicas, settings, kills))
            begun = time.monotonic()
            followed = await asyncio.gather(*(_client(balancer.url, frames, box, fps) for _ in range(CLIENTS)))
            lasted = time.monotonic() - begun
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)
            sessions_left = await _sessions_left(balancer.url, replicas, followed)
            return _report(followed, kills, balancer, len(frames) - 1, calm) | {
                "lasted_s": round(lasted, 1),
                "frames_a_second_each": fps,
                "sessions_still_there": sessions_left,
                "redis_commands": _commands(redis),
            }
    finally:
        for replica in replicas:
            if replica.server is not None:
                replica.server.process.kill()
                replica.server.process.wait()


async def _client(url: str, frames: Sequence[bytes], box: Sequence[float], fps: float) -> ClientRun:
    followed = ClientRun()
    policy = Reconnect(attempts=1000, first_delay_s=0.05, max_delay_s=0.4, give_up_after_s=60)
    async with AsyncClient(url, timeout_s=60, reconnect=policy) as client:
        try:
            session = await client.start(frames[0], box)
            followed.session_id = session.id
            async for answer in session.stream(_paced(frames[1:], fps, followed.given)):
                followed.answers.append(answer)
                followed.times.append(time.monotonic())
            await session.close()
        except ClientError as error:
            followed.error = repr(error)
    return followed


async def _paced(frames: Sequence[bytes], fps: float, given: list[float]) -> AsyncIterator[bytes]:
    begun = time.monotonic() + (random.random() / fps if fps else 0.0)
    for index, frame in enumerate(frames):
        if fps:
            await asyncio.sleep(max(0.0, begun + index / fps - time.monotonic()))
        given.append(time.monotonic())
        yield frame


async def _kill_on(replicas: list[Replica], settings: dict[str, str], kills: list[Kill]) -> None:
    starting: set[asyncio.Task[None]] = set()
    try:
        while True:
            await asyncio.sleep(KILL_EVERY_S)
            await asyncio.gather(*starting)
            victim = random.choice(replicas)
            assert victim.server is not None
            victim.server.process.kill()
            victim.server.process.wait()
            victim.ready_at = None
            kills.append(Kill(victim.port, time.monotonic()))
            _start(victim, settings)
            task = asyncio.create_task(_ready(victim))
            starting.add(task)
            task.add_done_callback(starting.discard)
    finally:
        for task in starting:
            task.cancel()


def _start(replica: Replica, settings: dict[str, str]) -> None:
    replica.server = launch(replica.log, replica.port, settings)


async def _ready(replica: Replica) -> None:
    server = replica.server
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{replica.port}", trust_env=False) as client:
        while replica.server is server:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.02)
    if replica.server is server:
        replica.ready_at = time.monotonic()


async def _sessions_left(url: str, replicas: Sequence[Replica], followed: Sequence[ClientRun]) -> int:
    await asyncio.gather(*map(_ready, replicas))
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
        answers = [await client.get(f"/v1/sessions/{each.session_id}") for each in followed]
    return sum(answer.status_code == 200 for answer in answers)


def _report(
    followed: Sequence[ClientRun], kills: Sequence[Kill], balancer: Balancer, count: int, calm: list[tuple[float, ...]]
) -> dict[str, Any]:
    once = [
        each.error is None
        and [answer.seq for answer in each.answers] == list(range(count))
        and [answer.frame_index for answer in each.answers if isinstance(answer, Result)] == list(range(1, count + 1))
        for each in followed
    ]
    differences = [
        float(np.abs(np.array(answer.box) - np.array(calm[answer.seq])).max())
        for each in followed
        for answer in each.answers
        if isinstance(answer, Result)
    ]
    waits = _waits(followed, kills, balancer)
    return {
        "clients": CLIENTS,
        "kills": len(kills),
        "frames_each": count,
        "answers": sum(len(each.answers) for each in followed),
        _ONCE: sum(once),
        "errors": [each.error for each in followed if each.error],
        "failed_frames": sum(not isinstance(answer, Result) for each in followed for answer in each.answers),
        "largest_box_difference_px": round(max(differences), 4),
        "resumes": len(waits),
        "resume_s": {f"p{share}": round(float(np.percentile(waits, share)), 3) for share in (50, 95, 100)}
        if waits
        else None,
    }


def _waits(followed: Sequence[ClientRun], kills: Sequence[Kill], balancer: Balancer) -> list[float]:
    """Seconds until a client whose connection a kill cut got `ready` from another replica.

    Counted from the kill, or from the client's next frame if none was under way: until then it need not come back.
    """
    waits = []
    for kill in kills:
        for each in followed:
            mine = [passage for passage in balancer.passages if passage.session_id == each.session_id]
            before = [passage for passage in mine if passage.opened < kill.at]
            # A replica's death closes a passage within moments; one closed before was over already.
            if not before or before[-1].port != kill.port or (before[-1].closed or kill.at) < kill.at:
                continue
            under_way = sum(at < kill.at for at in each.given) > sum(at < kill.at for at in each.times)
            wanted = kill.at if under_way else next((at for at in each.given if at > kill.at), None)
            ready = [passage.ready for passage in mine if passage.opened > kill.at and passage.ready is not None]
            if wanted is not None and ready:
                waits.append(max(0.0, ready[0] - wanted))
    return waits


def _commands(redis: RedisServer) -> int:
    found = [line for line in redis.say("INFO", "stats").split(b"\r\n") if line.startswith(b"total_commands_processed")]
    return int(found[0].partition(b":")[2])


def table(result: dict[str, Any]) -> list[list[str]]:
    """The outcome for clients and frames."""
    waits = result["resume_s"] or {}
    return [
        ["", f"{result['clients']} clients, {result['lasted_s']:g} s"],
        ["kills", str(result["kills"])],
        ["answers", f"{result['answers']} of {result['clients'] * result['frames_each']}"],
        ["clients with every frame answered and counted once", str(result[_ONCE])],
        ["failed frames", str(result["failed_frames"])],
        ["largest box difference, px", f"{result['largest_box_difference_px']:g}"],
        *([f"until a client could go on, {share}, s", f"{value:.2f}"] for share, value in waits.items()),
    ]
