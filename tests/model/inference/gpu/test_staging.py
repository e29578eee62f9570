"""A tray brings the device its pass, target by target, and nothing of the pass before."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.crops import Region
from model.frames import Frame
from model.inference.gpu.staging import APART, SHARE, Inputs, PassLimits, Tray
from model.search import Search, cut_windows, windows_of
from tests.support.devices import DEVICES

LIMITS = PassLimits(targets=4, pixels=40_000, scales=3, map_size=5, exemplar=(2, 3, 3))
FILL = (10.0, 20.0, 30.0)


@pytest.fixture
def frame(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (90, 120, 3), np.uint8)


def followed(frame: np.ndarray, x: float) -> Search:
    regions = tuple(Region(x, 40, side) for side in (38, 40, 42))
    return cut_windows(Frame.whole(frame), Search(regions, (0.25,) * 3, 51, FILL))


def lost(frame: np.ndarray) -> Search:
    regions = tuple(Region(x, 50, 40) for x in (30, 60, 90))
    return cut_windows(Frame.whole(frame), Search(regions, (0, 0.125, 0), 51, FILL, apart=True))


@pytest.mark.parametrize("device", DEVICES)
def test_windows_numbers_and_exemplars_arrive(frame: np.ndarray, device: str) -> None:
    there = torch.device(device)
    tray, inputs = Tray(LIMITS, there), Inputs(LIMITS, there)
    bank = torch.arange(6 * 18, dtype=torch.float16, device=there).reshape(6, 2, 3, 3)
    searches = followed(frame, 30), lost(frame)
    seen = windows_of(searches)
    tray.fill((5, 2), searches, 4)
    tray.send(inputs, bank, 4)
    windows = [image.reshape(-1, 3) for each in seen for image in each.images]
    joined = np.concatenate(windows)
    np.testing.assert_array_equal(inputs.pixels[: len(joined)].cpu().numpy(), joined)
    numbers = inputs.numbers.cpu().numpy()
    np.testing.assert_array_equal(numbers[:2, :, 1:10], np.stack([each.numbers[:, 1:] for each in seen]))
    begins = np.cumsum([0] + [len(window) for window in windows])
    assert numbers[:2, :, 0].tolist() == [[0, 0, 0], begins[1:4].tolist()]
    assert numbers[:2, :, SHARE].tolist() == [[0.25] * 3, [0, 0.125, 0]]
    assert numbers[:2, :, APART].tolist() == [[0] * 3, [1] * 3]
    assert not numbers[2:].any()
    assert torch.equal(inputs.exemplars[:2], bank[[5, 2]])


def test_padding_is_free_of_the_pass_before(frame: np.ndarray) -> None:
    tray = Tray(LIMITS, torch.device("cpu"))
    inputs = Inputs(LIMITS, torch.device("cpu"))
    bank = torch.ones(2, 2, 3, 3, dtype=torch.float16)
    tray.fill((1, 1, 1), [followed(frame, 30)] * 3, 4)
    tray.send(inputs, bank, 4)
    tray.fill((1,), [followed(frame, 60)], 4)
    tray.send(inputs, bank, 4)
    assert not inputs.numbers[1:].any()


def test_answers_come_back(rng: np.random.Generator) -> None:
    tray = Tray(LIMITS, torch.device("cpu"))
    peaks, maps = torch.rand(2, 3, 5), torch.rand(2, 3, 5, 5)
    tray.fetch(peaks, maps)
    tray.wait()
    assert torch.equal(tray.peaks[:2], peaks)
    assert torch.equal(tray.maps[:2], maps)


def test_what_a_pass_holds(frame: np.ndarray) -> None:
    (seen,) = windows_of([followed(frame, 50)])
    assert LIMITS.hold([seen] * 4)
    assert not LIMITS.hold([seen] * 5)
    assert not PassLimits(4, 3 * seen.pixels - 1, 3, 5, (2, 3, 3)).hold([seen] * 3)
    assert LIMITS.exactly([seen] * 5) == PassLimits(5, 5 * seen.pixels, 3, 5, (2, 3, 3))
