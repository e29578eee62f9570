"""The layers as arrays are the network: the same embeddings from raw pixels, by plain convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model.config import PRESET_NAMES, Preprocessing, preset
from model.inference.openvino.layers import FoldedLayer, folded_layers
from tests.support.networks import TINY, random_network


def run(layers: tuple[FoldedLayer, ...], crops: np.ndarray) -> Tensor:
    """The layers, one after the other, on crops uint8 [B, side, side, 3]."""
    value = torch.from_numpy(crops).permute(0, 3, 1, 2).double()
    for layer in layers:
        weight = torch.from_numpy(layer.weight).double()
        bias = torch.from_numpy(layer.bias).double() - layer.pedestal * weight.sum((1, 2, 3))
        value = F.conv2d(value, weight, bias, layer.stride, groups=layer.groups)
        value = F.relu(value) if layer.relu else value
        value = F.max_pool2d(value, *layer.pool) if layer.pool else value
    return value


@pytest.mark.parametrize("name", PRESET_NAMES)
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_they_embed_raw_pixels_as_the_network_embeds_preprocessed_ones(
    name: str, order: Any, rng: np.random.Generator
) -> None:
    network = random_network(preset(name))
    crops = rng.integers(0, 256, (1, 127, 127, 3), np.uint8)
    ordered = crops if order == "rgb" else np.ascontiguousarray(crops[..., ::-1])
    expected = network.embed((torch.from_numpy(ordered).permute(0, 3, 1, 2).float() - 114) / 58).double()
    embedded = run(folded_layers(network, Preprocessing(order, 114.0, 58.0)), crops)
    torch.testing.assert_close(embedded, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_what_a_layer_knows() -> None:
    network = random_network(TINY)
    first, last = folded_layers(network, Preprocessing("rgb", 114.0, 58.0))
    assert (first.stride, first.relu, first.pool, first.pedestal) == (4, True, (2, 2), 114.0)
    assert (last.groups, last.relu, last.pool, last.pedestal, last.spread) == (2, False, None, 0.0, None)
    norm: Any = network.embedding[1]
    assert first.spread is not None
    np.testing.assert_array_equal(first.spread[0], norm.bias.detach().numpy())
    np.testing.assert_array_equal(first.spread[1], norm.weight.detach().abs().numpy())


def test_the_network_is_left_as_it_was() -> None:
    network = random_network(TINY)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded_layers(network, Preprocessing("bgr", 114.0, 58.0))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
