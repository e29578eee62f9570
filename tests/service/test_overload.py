"""A server that is behind its streams refuses new sessions, and the existing ones go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from service.engine.overload import OverloadGuard, Passage
from tests.service.conftest import Running
from tests.support import blobs
from tests.support.clock import Clock
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio


class Watched(OverloadGuard):
    """A guard that remembers the frames that passed."""

    def __init__(self) -> None:
        super().__init__(1.0, Clock())
        self.passages: list[tuple[int, Passage]] = []

    @contextmanager
    def passage(self, targets: int) -> Iterator[Passage]:
        with super().passage(targets) as passage:
            self.passages.append((targets, passage))
            yield passage


def overload(guard: OverloadGuard, clock: Clock) -> None:
    """Frames that have waited ten seconds each, for a minute."""
    for _ in range(120):
        with guard.passage(1) as passage:
            clock.advance(0.5)
            passage.waited_s = 10.0


async def test_new_sessions_are_refused_and_others_go_on(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    guard = OverloadGuard(1.0, clock)
    monkeypatch.setattr(service.components.tracking, "_guard", guard)
    session = await service.create(60, 50)
    overload(guard, clock)
    files = {"frame": ("0.png", blobs.frame(60, 50), "image/png")}
    refused = await service.client.post("/v1/sessions", files=files, data={"box": "60,50,16,16"})
    assert (refused.status_code, refused.json()["type"]) == (503, "about:blank#at-capacity")
    assert int(refused.headers["Retry-After"]) > 0
    assert "behind" in refused.json()["detail"]
    assert (await service.client.get("/readyz")).status_code == 200
    assert (await service.post_frame(session["session_id"], blobs.frame(62, 50))).status_code == 200
    assert len(service.predictor.of("embed")) == 1, "the refused one cost the device nothing"
    text = (await service.client.get("/metrics")).text
    assert 'siamfc_refusals_total{problem="at-capacity"} 1.0' in text
    clock.advance(60)
    await service.create(60, 50)


async def test_a_frames_wait_is_its_time_without_the_work(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Watched()
    monkeypatch.setattr(service.components.tracking, "_guard", guard)
    first, second = [await service.create(60, 50) for _ in range(2)]
    begun = time.perf_counter()
    with service.predictor.held("respond") as on_the_device:
        ahead = asyncio.create_task(service.post_frame(first["session_id"], blobs.frame(62, 50)))
        await reached(on_the_device)
        behind = asyncio.create_task(service.post_frame(second["session_id"], blobs.frame(62, 50)))
        await eventually(lambda: service.components.batcher.targets_waiting == 1)
        in_line = time.perf_counter()
        waited = float((await service.client.get("/metrics")).text.partition("\nsiamfc_targets_waiting ")[2].split()[0])
        held_s = time.perf_counter() - in_line
    answers = await asyncio.gather(ahead, behind)
    lasted_s = time.perf_counter() - begun
    assert [answer.status_code for answer in answers] == [200, 200]
    assert waited == 1
    (targets, one), (_, other) = guard.passages
    assert targets == 1
    assert one.waited_s is not None
    assert other.waited_s is not None
    assert one.waited_s <= lasted_s - held_s, "its time on the device is not waiting"
    assert other.waited_s >= held_s


async def test_every_stage_of_a_frame_is_measured(service: Running) -> None:
    session = await service.create(60, 50)
    await service.post_frame(session["session_id"], blobs.frame(62, 50))
    text = (await service.client.get("/metrics")).text
    for stage in ("decode", "crop", "queue", "infer", "conclude", "store", "total"):
        assert f'siamfc_frame_stage_seconds_count{{stage="{stage}"}} 1.0' in text
    assert "siamfc_overloaded 0.0" in text
    assert "siamfc_wait_seconds 0.0" in text
