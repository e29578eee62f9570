"""A response read on a device chooses its peak as `find_peak` does; one read here is `find_peak`'s."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.config import TrackerConfig
from model.response import DeviceResponse, MapResponse
from model.score_map import Peak, find_peak

CONFIG = TrackerConfig(scale_penalty=0.9, upscale=16)


def read(*heights: float) -> DeviceResponse:
    """Maps of these heights, the peak of map i lying i cells to the right and 2 i up."""
    rows = [[height, 16 * index, -32 * index, height - 5, 3.0] for index, height in enumerate(heights)]
    return DeviceResponse(np.array(rows, np.float32))


@pytest.mark.parametrize(
    ("heights", "scale"),
    [
        pytest.param((10, 10, 10), 1, id="a tie stays"),
        pytest.param((11, 10, 9), 1, id="a little higher is not enough"),
        pytest.param((11.2, 10, 9), 0, id="clearly higher is"),
        pytest.param((9, 10, 11.2), 2, id="on the other side too"),
        pytest.param((12, 10, 12), 0, id="of two alike the first"),
        pytest.param((1, 1, 9, 10, 10.9, 1, 1), 3, id="the middle of seven"),
        pytest.param((4,), 0, id="the only one"),
    ],
)
def test_the_best(heights: tuple[float, ...], scale: int) -> None:
    peak = read(*heights).best(CONFIG)
    assert peak.scale == scale
    assert (peak.dx, peak.dy) == (scale, -2 * scale)
    assert peak.logit == pytest.approx(heights[scale] - 5)
    assert peak.zoom == scale - len(heights) // 2


def test_the_size_between_the_scales() -> None:
    # 8, 10, 9 after the penalty: the parabola -1.5 x² + 0.5 x + 10 is highest at 1 / 6.
    peak = read(8 / 0.9, 10, 10).best(replace(CONFIG, scale_interpolation=True))
    assert (peak.scale, peak.zoom) == (1, pytest.approx(1 / 6, abs=1e-5))


def test_the_peak_of_every_map() -> None:
    assert read(6, 7).peaks(CONFIG) == [Peak(0, 0.0, 0.0, 1.0, 3.0), Peak(1, 1.0, -2.0, 2.0, 3.0)]


def test_whether_it_is_finite() -> None:
    assert read(1, 2).finite
    assert not read(1, float("nan")).finite
    assert not read(float("inf"), 1).finite


def test_maps_are_read_with_the_windows_share(rng: np.random.Generator) -> None:
    maps = rng.normal(size=(3, 17, 17)).astype(np.float32)
    assert MapResponse(maps, (0.4,) * 3).best(CONFIG) == find_peak(maps, CONFIG, 0.4)


def test_maps_apart_are_read_one_by_one_each_with_its_share(rng: np.random.Generator) -> None:
    maps, shares = rng.normal(size=(3, 17, 17)).astype(np.float32), (0.0, 0.3, 0.0)
    peaks = MapResponse(maps, shares).peaks(CONFIG)
    expected = [find_peak(one[None], CONFIG, share) for one, share in zip(maps, shares, strict=True)]
    assert peaks == [replace(peak, scale=index) for index, peak in enumerate(expected)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_whether_maps_are_finite(value: float) -> None:
    maps = np.zeros((2, 5, 5), np.float32)
    assert MapResponse(maps, (0.0, 0.0)).finite
    maps[1, 2, 3] = value
    assert not MapResponse(maps, (0.0, 0.0)).finite
