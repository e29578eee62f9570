"""What a tray holds is what the device computes from, target by target, and nothing of the pass before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.crops import Region
from model.runtimes.staging import APART, INFLUENCE, Inputs, Room, Tray
from model.windows import Cut, cut_windows
from tests.support.devices import DEVICES

ROOM = Room(targets=4, pixels=40_000, scales=3, map_size=5, exemplar=(2, 3, 3))
FILL = (10.0, 20.0, 30.0)


@pytest.fixture
def frame(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (90, 120, 3), np.uint8)


def followed(frame: np.ndarray, x: float) -> Cut:
    return cut_windows(frame, [Region(x, 40, side) for side in (38, 40, 42)], 51, FILL)


def lost(frame: np.ndarray) -> Cut:
    return cut_windows(frame, [Region(x, 50, 40) for x in (30, 60, 90)], 51, FILL, apart=True)


@pytest.mark.parametrize("device", DEVICES)
def test_windows_numbers_and_exemplars_arrive(frame: np.ndarray, device: str) -> None:
    there = torch.device(device)
    tray, inputs = Tray(ROOM, there), Inputs(ROOM, there)
    bank = torch.arange(6 * 18, dtype=torch.float16, device=there).reshape(6, 2, 3, 3)
    cuts = replace(followed(frame, 30), influence=0.25), replace(lost(frame), influence=0.125)
    tray.fill((5, 2), cuts, 4)
    tray.send(inputs, bank, 4)
    windows = [window.reshape(-1, 3) for cut in cuts for window in cut.windows]
    joined = np.concatenate(windows)
    np.testing.assert_array_equal(inputs.pixels[: len(joined)].cpu().numpy(), joined)
    numbers = inputs.numbers.cpu().numpy()
    np.testing.assert_array_equal(numbers[:2, :, 1:10], np.stack([cut.numbers[:, 1:] for cut in cuts]))
    begins = np.cumsum([0] + [len(window) for window in windows])
    assert numbers[:2, :, 0].tolist() == [[0, 0, 0], begins[1:4].tolist()]
    assert numbers[:2, :, INFLUENCE].tolist() == [[0.25] * 3, [0, 0.125, 0]]
    assert numbers[:2, :, APART].tolist() == [[0] * 3, [1] * 3]
    assert not numbers[2:].any()
    assert torch.equal(inputs.exemplars[:2], bank[[5, 2]])


def test_padding_is_free_of_the_pass_before(frame: np.ndarray) -> None:
    tray = Tray(ROOM, torch.device("cpu"))
    inputs = Inputs(ROOM, torch.device("cpu"))
    bank = torch.ones(2, 2, 3, 3, dtype=torch.float16)
    tray.fill((1, 1, 1), [followed(frame, 30)] * 3, 4)
    tray.send(inputs, bank, 4)
    tray.fill((1,), [followed(frame, 60)], 4)
    tray.send(inputs, bank, 4)
    assert not inputs.numbers[1:].any()


def test_answers_come_back(rng: np.random.Generator) -> None:
    tray = Tray(ROOM, torch.device("cpu"))
    peaks, maps = torch.rand(2, 3, 5), torch.rand(2, 3, 5, 5)
    tray.fetch(peaks, maps)
    tray.wait()
    assert torch.equal(tray.peaks[:2], peaks)
    assert torch.equal(tray.maps[:2], maps)


def test_what_there_is_room_for(frame: np.ndarray) -> None:
    cut = followed(frame, 50)
    assert ROOM.holds([cut] * 4)
    assert not ROOM.holds([cut] * 5)
    assert not Room(4, 3 * cut.pixels - 1, 3, 5, (2, 3, 3)).holds([cut] * 3)
