from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from model.config import PRESET_NAMES, NetworkConfig, preset
from model.inference.openvino.quantisation import Spread, quantisable, quantise
from model.layers import ConvLayer
from tests.support.networks import settled_network

WEIGHTS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    elements=st.floats(-(2.0**20), 2.0**20, width=32, allow_subnormal=False),
)


@given(WEIGHTS)
def test_a_weight_comes_back_within_half_a_scale(weight: np.ndarray) -> None:
    integers, scale = quantise(weight)
    assert integers.dtype == np.int8
    assert integers.min() >= -127
    assert scale.shape == (len(weight), 1, 1, 1)
    assert np.all(np.abs(weight - integers * scale) <= scale * (0.5 + 1e-4))


@given(WEIGHTS)
def test_every_channel_uses_its_whole_range(weight: np.ndarray) -> None:
    integers, _ = quantise(weight)
    for channel, given_channel in zip(integers, weight, strict=True):
        assert np.abs(channel).max() == (127 if given_channel.any() else 0)


def test_the_negative_of_a_weight_is_the_negative_of_its_integers(rng: np.random.Generator) -> None:
    weight = rng.normal(size=(3, 4, 3, 3)).astype(np.float32)
    np.testing.assert_array_equal(quantise(-weight)[0], -quantise(weight)[0])


@pytest.mark.parametrize(
    ("mean", "deviation", "expected"),
    [
        # 1 + 6 * 0.5 against -2 + 6 * 1.
        pytest.param([1.0, -2.0], [0.5, 1.0], 4.0, id="the highest channel counts"),
        pytest.param([0.0], [0.0], 1e-3, id="a channel that is always zero"),
        pytest.param([-9.0], [0.1], 1e-3, id="a channel that is never above zero"),
    ],
)
def test_ceilings(mean: list[float], deviation: list[float], expected: float) -> None:
    spread = Spread(np.array(mean, np.float32), np.array(deviation, np.float32)).capped()
    assert spread.bounds == (0, pytest.approx(expected))


@pytest.mark.parametrize(
    ("spread", "expected"),
    [
        pytest.param(Spread(np.array([1.0]), np.array([0.5])).capped(6.0), (0.0, 4.0), id="below the ReLU's ceiling"),
        pytest.param(Spread(np.array([1.0]), np.array([9.0])).capped(6.0), (0.0, 6.0), id="at the ReLU's ceiling"),
        # |-2| + 6 * 1, and one level more below zero than above.
        pytest.param(Spread(np.array([1.0, -2.0]), np.array([0.5, 1.0])), (-8 * 128 / 127, 8.0), id="both sides"),
        pytest.param(
            Spread(np.array([1.0]), np.array([3.0])).plus(Spread(np.array([2.0]), np.array([4.0]))),
            (-33 * 128 / 127, 33.0),
            id="a sum: 1 + 2, and 3 and 4 make 5",
        ),
    ],
)
def test_ranges(spread: Spread, expected: tuple[float, float]) -> None:
    assert spread.bounds == pytest.approx(expected)


def test_ranges_from_norms_are_those_measured_on_the_data(rng: np.random.Generator) -> None:
    # Batch norms have the statistics of these crops, up to the unbiased variance, as training leaves them.
    crops = torch.from_numpy(rng.normal(size=(3, 3, 127, 127)).astype(np.float32))
    network = settled_network(preset("baseline"), crops)
    norms = [module for module in network.embedding if isinstance(module, nn.BatchNorm2d)]
    measured: list[float] = []

    def measure(_: nn.Module, __: object, outputs: torch.Tensor) -> None:
        measured.append(Spread.measured(outputs.numpy()).capped().ceiling)

    for norm in norms:
        norm.register_forward_hook(measure)
    with torch.no_grad():
        network.embed(crops)
    assert len(measured) == len(norms) >= 3
    assert [Spread.left_by(norm).capped().ceiling for norm in norms] == pytest.approx(measured, rel=5e-3)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_every_preset_but_light_can_be_quantised(name: str) -> None:
    assert quantisable(preset(name)) is (name != "light")


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        pytest.param(ConvLayer(4, 3), True, id="norm and relu"),
        pytest.param(ConvLayer(4, 3, norm=False), False, id="no norm"),
        pytest.param(ConvLayer(4, 3, relu=False), False, id="no relu"),
        pytest.param(ConvLayer(6, 3, groups=3), True, id="groups of several channels"),
        pytest.param(ConvLayer(3, 3, groups=3), False, id="depthwise"),
    ],
)
def test_what_can_be_quantised(first: ConvLayer, expected: bool) -> None:
    last = ConvLayer(4, 1, norm=False, relu=False)
    assert quantisable(NetworkConfig("n", (first, last))) is expected
