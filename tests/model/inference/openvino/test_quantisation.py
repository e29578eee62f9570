from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from model.config import PRESET_NAMES, ConvLayer, NetworkConfig, Preprocessing, preset
from model.inference.openvino.layers import FoldedLayer, folded_layers
from model.inference.openvino.quantisation import ceiling, measured_ceiling, quantisable, quantise
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
    spread = np.array(mean, np.float32), np.array(deviation, np.float32)
    layer = FoldedLayer(
        np.zeros((len(mean), 1, 1, 1), np.float32), np.zeros(len(mean), np.float32), 1, 1, spread=spread
    )
    assert ceiling(layer) == pytest.approx(expected)


def test_ceilings_from_norms_are_those_measured_on_the_data(rng: np.random.Generator) -> None:
    # Batch norms have the statistics of these crops, up to the unbiased variance, as training leaves them.
    crops = torch.from_numpy(rng.normal(size=(3, 3, 127, 127)).astype(np.float32))
    network = settled_network(preset("baseline"), crops)
    measured: list[float] = []
    for module in network.embedding:
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda _, __, outputs: measured.append(measured_ceiling(outputs.numpy())))
    with torch.no_grad():
        network.embed(crops)
    layers = [layer for layer in folded_layers(network, Preprocessing()) if layer.spread is not None]
    assert len(measured) == len(layers) >= 3
    assert [ceiling(layer) for layer in layers] == pytest.approx(measured, rel=5e-3)


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
