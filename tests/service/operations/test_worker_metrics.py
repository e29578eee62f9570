"""The metrics of several workers, read at one of them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.operations import worker_metrics
from service.operations.metrics import Metrics
from service.operations.worker_metrics import exposition, merged
from service.post import Post

pytestmark = pytest.mark.anyio


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Every sample by its name and its labels' values."""
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def counted(frames: int) -> Metrics:
    metrics = Metrics()
    for _ in range(frames):
        metrics.frame("result")
    return metrics


def post(folder: Path, number: int, count: int = 2) -> Post:
    return Post(number, count, (), -1, -1, str(folder))


async def test_one_process_has_its_own() -> None:
    metrics = counted(3)
    async with exposition(metrics.render, None) as read:
        assert await read() == metrics.render()


async def test_any_worker_tells_all(tmp_path: Path) -> None:
    async with (
        exposition(counted(3).render, post(tmp_path, 0)) as first,
        exposition(counted(5).render, post(tmp_path, 1)) as second,
    ):
        seen, other = samples(await first()), samples(await second())
    assert seen["siamfc_frames_total", "outcome=result", "worker=0"] == 3
    assert seen["siamfc_frames_total", "outcome=result", "worker=1"] == 5
    assert (seen["siamfc_worker_up", "worker=0"], seen["siamfc_worker_up", "worker=1"]) == (1, 1)
    assert seen == other


async def test_a_worker_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    async with exposition(counted(1).render, post(tmp_path, 1, count=3)) as read:
        (tmp_path / "2.sock").write_text("left behind")
        seen = samples(await read())
    assert [seen["siamfc_worker_up", f"worker={number}"] for number in range(3)] == [0, 1, 0]
    assert {key[-1] for key in seen if key[0] == "siamfc_frames_total"} == {"worker=1"}


async def test_a_worker_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_metrics, "_ANSWER_S", 0.05)
    never = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    server = await asyncio.start_unix_server(silent, tmp_path / "1.sock")
    async with server, exposition(counted(1).render, post(tmp_path, 0)) as read:
        assert samples(await read())["siamfc_worker_up", "worker=1"] == 0
        never.set()


async def test_a_new_worker_takes_the_place_of_a_killed_one(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(exposition(counted(1).render, post(tmp_path, 0)))
        await stack.enter_async_context(exposition(counted(2).render, post(tmp_path, 1)))
        # It was killed: its socket is still there.
        await stack.enter_async_context(exposition(counted(7).render, post(tmp_path, 1)))
        assert samples(await first())["siamfc_frames_total", "outcome=result", "worker=1"] == 7


def test_nothing_is_lost_but_the_label_is_new() -> None:
    metrics = counted(2)
    metrics.batch(3, 0.02)
    metrics.refused('a "quoted" one')
    alone = samples(metrics.render())
    both = samples(merged({4: metrics.render()}))
    assert both.pop(("siamfc_worker_up", "worker=4")) == 1
    assert {tuple(part for part in key if part != "worker=4"): value for key, value in both.items()} == alone


def test_each_family_is_described_once() -> None:
    lines = merged({0: counted(1).render(), 1: counted(1).render()}).decode().splitlines()
    types = [line for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
