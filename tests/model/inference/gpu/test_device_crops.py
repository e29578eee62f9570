"""Crops read out of windows are those that OpenCV cuts out of the frame, to one grey level."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.crops import Region, cut
from model.frames import Frame
from model.inference.gpu.device_crops import read_crops
from model.windows import FrameWindows, frame_windows
from tests.support.devices import DEVICES
from tests.support.scenes import photograph

FILL = (10.0, 200.0, 30.0)
FACTORS = (1 / 1.0375, 1.0, 1.0375)


def read(seen: FrameWindows, size: int, device: str = "cpu") -> NDArray[np.float32]:
    """The crops read out of windows, float32 [N, size, size, 3]."""
    pixels = np.concatenate([np.zeros((1, 3), np.uint8), *(image.reshape(-1, 3) for image in seen.images)])[1:]
    held = torch.from_numpy(pixels if len(pixels) else np.zeros((1, 3), np.uint8)).to(device)
    crops = read_crops(held, torch.from_numpy(seen.numbers).to(device), size)
    assert crops.is_contiguous(memory_format=torch.channels_last)
    values: NDArray[np.float32] = crops.permute(0, 2, 3, 1).cpu().numpy()
    return values


def differences(frame: np.ndarray, regions: list[Region], size: int, device: str = "cpu") -> NDArray[np.float32]:
    """Grey levels between the crops of both ways."""
    whole = Frame.whole(frame)
    theirs = cut(whole, regions, size, FILL)
    return np.abs(theirs.astype(np.float32) - read(frame_windows(whole, regions, size, FILL), size, device))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("center", "side"),
    [
        pytest.param((200.3, 140.2), 60, id="magnified"),
        pytest.param((200.3, 140.2), 255, id="as it is"),
        pytest.param((225.0, 150.0), 127.5, id="halves"),
        pytest.param((200.3, 140.2), 509, id="between two reductions"),
        pytest.param((200.3, 140.2), 800, id="reduced"),
        pytest.param((5.1, 290.9), 200, id="over a corner"),
        pytest.param((-400.0, 100.0), 100, id="off the frame"),
    ],
)
def test_crops_are_those_of_opencv(device: str, center: tuple[float, float], side: float) -> None:
    regions = [Region(*center, side * factor) for factor in FACTORS]
    off = differences(photograph("chelsea"), regions, 255, device)
    assert off.max() <= 1
    assert off.mean() < 0.02


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("side", [600, 900, 1500])
def test_scales_that_share_an_averaged_window_stay_close(device: str, side: float) -> None:
    # The edge of the widest is where the averages of all begin: of the others they are of other pixels.
    regions = [Region(5.1, 290.9, side * factor) for factor in FACTORS]
    off = differences(photograph("chelsea"), regions, 255, device)
    assert off.max() <= 24
    assert off.mean() < 0.3


@given(
    cx=st.floats(-40, 120), cy=st.floats(-40, 120), side=st.floats(4, 59), seed=st.integers(0, 9), apart=st.booleans()
)
@settings(max_examples=50)
def test_so_they_are_wherever_the_regions_lie(cx: float, cy: float, side: float, seed: int, apart: bool) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (70, 90, 3), np.uint8)
    places = [(cx, cy), (cx + side / 2, cy), (cx, cy - side)] if apart else [(cx, cy)] * 3
    regions = [Region(*place, side * factor) for place, factor in zip(places, FACTORS, strict=True)]
    # Noise has the steepest edges there are: a place off by a thousandth of a pixel is a quarter of a grey level.
    # Nothing is averaged: all are at most two frame pixels a crop pixel.
    assert differences(frame, regions, 31).max() <= 1


def test_what_lies_beyond_is_the_fill() -> None:
    crops = read(frame_windows(Frame.whole(np.zeros((40, 40, 3), np.uint8)), [Region(-100, -100, 50)], 31, FILL), 31)
    np.testing.assert_array_equal(crops, np.broadcast_to(np.float32(FILL), crops.shape))


def test_nothing_at_all_reads_as_black() -> None:
    np.testing.assert_array_equal(read(FrameWindows((), np.zeros((2, 10))), 31), 0)
