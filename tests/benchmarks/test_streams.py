"""The footage of the benchmarks' clients, and their reading of the metrics."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from benchmarks._streams import Chosen, Footage, percentiles, stage_sums, stages_ms
from benchmarks.soak import marks, slope


def test_footage_goes_to_and_fro() -> None:
    footage = Footage((b"a", b"b", b"c"), [0, 0, 4, 4], (16, 16))
    assert b"".join(footage[index] for index in range(9)) == b"abcbabcba"


def test_rendered_footage_has_the_box_in_its_own_pixels() -> None:
    small, large = Footage.rendered(160, 2), Footage.rendered(320, 2)
    pixels = cv2.imdecode(np.frombuffer(small[0], np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert pixels.shape[1::-1] == small.size == (160, round(large.size[1] / 2))
    assert [2 * value for value in small.box] == pytest.approx(large.box, abs=0.05)


@pytest.mark.parametrize("count", [1, 2, 16])
def test_boxes_lie_in_the_frame(count: int) -> None:
    footage = Footage.rendered(320, 2)
    boxes = footage.boxes(count)
    assert len(boxes) == count
    assert boxes[0] == footage.box
    assert all(x >= 0 and y >= 0 and x + w <= footage.size[0] and y + h <= footage.size[1] for x, y, w, h in boxes)


def test_settings_of_a_server(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"")
    chosen = Chosen(tmp_path / "w.safetensors", precision="fp32", threads=2)
    assert chosen.settings(MAX_SESSIONS=7) == {
        "RUNTIME": "auto",
        "PRECISION": "fp32",
        "THREADS": "2",
        "WEIGHTS": str((tmp_path / "w.safetensors").resolve()),
        "MAX_SESSIONS": "7",
    }
    assert "WEIGHTS" not in Chosen().settings()


def test_stages_are_means_between_two_readings() -> None:
    before = {"infer": (1.0, 10.0), "send": (0.1, 5.0)}
    after = {"infer": (1.5, 20.0), "send": (0.1, 5.0), "crop": (0.02, 10.0)}
    assert stages_ms(before, after) == {"infer": 50.0, "crop": 2.0}


def test_percentiles_of_nothing() -> None:
    assert percentiles([]) is None
    assert percentiles([1.0, 2.0, 3.0]) == {"p50": 2.0, "p95": 2.9, "p99": 3.0}


@pytest.mark.parametrize(
    ("samples", "found"),
    [
        pytest.param([(0.0, 50.0), (30.0, 90.0), (60.0, 100.0), (90.0, 101.0), (120.0, 102.0)], 2.0, id="second half"),
        pytest.param([(0.0, 50.0), (30.0, 90.0)], None, id="too few"),
        pytest.param([(float(at), 80.0) for at in range(10)], 0.0, id="flat"),
    ],
)
def test_the_slope_of_memory(samples: list[tuple[float, float]], found: float | None) -> None:
    assert slope(samples) == (None if found is None else pytest.approx(found, abs=1e-6))


def test_the_last_quarter_tells_a_leak_from_a_cache_that_has_filled() -> None:
    filling = [(float(at), min(at, 60.0)) for at in range(80)]
    half = slope(filling)
    assert half is not None
    assert 20 < half < 40
    assert slope(filling, 0.25) == pytest.approx(0, abs=1e-6)
    assert marks(filling) == {"begin": 0, "half": 40, "end": 60, "most": 60}
    assert marks([]) == {}


@pytest.mark.parametrize("workers", [1, 2])
def test_stage_times_are_summed_over_workers(workers: int) -> None:
    def page(_: httpx.Request) -> httpx.Response:
        labels = [""] if workers == 1 else [f',worker="{number}"' for number in range(workers)]
        rows = [
            f'siamfc_frame_stage_seconds_{kind}{{stage="infer"{label}}} {value}'
            for label in labels
            for kind, value in (("sum", 1.5), ("count", 10.0))
        ]
        return httpx.Response(200, text="\n".join([*rows, 'siamfc_frame_stage_seconds_bucket{stage="infer"} 3.0']))

    async def read() -> dict[str, tuple[float, float]]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(page), base_url="http://test") as client:
            return await stage_sums(client)

    assert asyncio.run(read()) == {"infer": (1.5 * workers, 10.0 * workers)}
