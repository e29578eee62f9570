"""Peaks read on the device are those that numpy reads off the same maps, in place and in scale exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model.arrays import Float32
from model.calibration import Calibration
from model.config import TrackerConfig, preset
from model.crops import Region
from model.inference.gpu.peaks import PeakReader
from model.response import DeviceResponse, MapResponse, Response
from model.score_map import Peak, find_peak
from model.search import Search
from model.tracker import Tracker
from tests.support.devices import DEVICES

DEFAULT = TrackerConfig()
PAPER = preset("paper")


def shares_of(config: TrackerConfig, apart: bool) -> tuple[float, ...]:
    """The window's share in each map."""
    middle = config.scales // 2
    return tuple(config.window_influence if index == middle or not apart else 0.0 for index in range(config.scales))


def located(response: Response, config: TrackerConfig, apart: bool, calibration: Calibration | None = None) -> Peak:
    """The peak of a response to a search whose regions are apart, or not."""
    regions = (Region(0, 0, 255),) * config.scales
    search = Search(regions, shares_of(config, apart), 255, (0, 0, 0), apart=apart, here=1)
    return Tracker(PAPER, config, calibration or Calibration()).locate(search, response)


def read(maps: Float32, config: TrackerConfig, apart: list[bool], device: str = "cpu") -> list[DeviceResponse]:
    """Maps [B, N, S, S] read on the device."""
    reader = PeakReader(maps.shape[-1], config.upscale, torch.device(device))
    shares = torch.tensor([shares_of(config, each) for each in apart], dtype=torch.float64, device=device)
    numbers = reader(torch.from_numpy(maps).to(device), shares, torch.tensor(apart, device=device))
    assert numbers.shape == (*maps.shape[:2], 5)
    return [DeviceResponse(each) for each in numbers.cpu().numpy()]


def check(peak: Peak, expected: Peak) -> None:
    """The same place and scale; logit and contrast to rounding."""
    assert (peak.scale, peak.dx, peak.dy) == (expected.scale, expected.dx, expected.dy)
    assert peak.logit == pytest.approx(expected.logit, rel=1e-4, abs=1e-4)
    assert peak.contrast == pytest.approx(expected.contrast, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("config", [DEFAULT, TrackerConfig(scales=1), TrackerConfig(scales=7, window_influence=0.0)])
def test_peaks_of_random_maps(config: TrackerConfig, device: str, rng: np.random.Generator) -> None:
    maps = (3 * rng.normal(size=(8, config.scales, 17, 17)) - 2).astype(np.float32)
    for each, reading in zip(maps, read(maps, config, [False] * 8, device), strict=True):
        check(reading.best(config), find_peak(each, config))


# Whole numbers upscaled by four are exact in float32 in whatever order they are added up: what ties, ties.
exact_maps = arrays.arrays(np.int8, (3, 9, 9), elements=st.integers(-4, 4)).map(lambda each: each.astype(np.float32))
configs = st.builds(
    TrackerConfig,
    upscale=st.sampled_from([1, 2, 4]),
    window_influence=st.sampled_from([0.0, 0.176, 1.0]),
    scale_penalty=st.sampled_from([1.0, 0.97, 0.5]),
)


@given(maps=exact_maps, config=configs)
def test_peaks_of_maps_with_ties(maps: Float32, config: TrackerConfig) -> None:
    (reading,) = read(maps[None], config, [False])
    check(reading.best(config), find_peak(maps, config))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("value", [0.0, -3.0, 8.0])
def test_flat_maps_stay_where_they_are(value: float, device: str) -> None:
    maps = np.full((1, 3, 17, 17), value, np.float32)
    (reading,) = read(maps, DEFAULT, [False], device)
    assert reading.best(DEFAULT) == find_peak(maps[0], DEFAULT) == Peak(1, 0, 0, value, 0)


@given(maps=exact_maps, config=configs, weight=st.sampled_from([0.5, 1.0, 3.0]), bar=st.sampled_from([0.0, 0.85, 1.0]))
def test_lost_targets_are_found_where_locate_finds_them(
    maps: Float32, config: TrackerConfig, weight: float, bar: float
) -> None:
    config = replace(config, redetect_score=bar)
    calibration = Calibration(logit=weight, bias=-1.0)
    (reading,) = read(maps[None], config, [True])
    here = MapResponse(maps, shares_of(config, True))
    check(located(reading, config, True, calibration), located(here, config, True, calibration))


@pytest.mark.parametrize("device", DEVICES)
def test_lost_and_followed_targets_share_a_batch(device: str, rng: np.random.Generator) -> None:
    maps = (3 * rng.normal(size=(6, 3, 17, 17))).astype(np.float32)
    apart = [True, False, True, True, False, False]
    for each, lost, reading in zip(maps, apart, read(maps, DEFAULT, apart, device), strict=True):
        here = MapResponse(each, shares_of(DEFAULT, lost))
        check(located(reading, DEFAULT, lost), located(here, DEFAULT, lost))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_map_that_is_not_finite_leaves_a_reading_that_is_not(value: float, device: str) -> None:
    maps = np.zeros((2, 3, 17, 17), np.float32)
    maps[1, 2, 4, 5] = value
    spoilt = [not reading.finite for reading in read(maps, DEFAULT, [False, False], device)]
    assert spoilt == [False, True]


def test_a_map_without_surroundings_has_no_contrast() -> None:
    maps = np.eye(3, dtype=np.float32)[None, None]
    config = TrackerConfig(scales=1, upscale=1)
    (reading,) = read(maps, config, [False])
    assert reading.best(config) == find_peak(maps[0], config)
    assert reading.best(config).contrast == 0
