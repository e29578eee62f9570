"""The graph as written is the network: the same embeddings from raw pixels, whatever their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("openvino", reason="the extra openvino is not installed")

from model.checkpoints import Weights
from model.config import PRESET_NAMES, Preprocessing, preset
from model.inference.openvino.compiled import OpenVinoEmbedder
from model.inference.openvino.graph import step_graph
from model.inference.openvino.writer import Value, Writer
from tests.support.networks import TINY, TINY_HEAD, random_network


@pytest.mark.parametrize("name", PRESET_NAMES)
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_it_embeds_raw_pixels_as_the_network_embeds_preprocessed_ones(
    name: str, order: Any, rng: np.random.Generator
) -> None:
    network = random_network(preset(name))
    crops = rng.integers(0, 256, (1, 127, 127, 3), np.uint8)
    ordered = crops if order == "rgb" else np.ascontiguousarray(crops[..., ::-1])
    expected = network.embed((torch.from_numpy(ordered).permute(0, 3, 1, 2).float() - 114) / 58)
    embedded = OpenVinoEmbedder(Weights(network, Preprocessing(order, 114.0, 58.0)), "fp32", 1)(crops)
    torch.testing.assert_close(embedded, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_a_value_knows_its_spread() -> None:
    network = random_network(TINY)
    first, norm = network.embedding[0], network.embedding[1]
    assert isinstance(norm, nn.BatchNorm2d)
    from openvino import opset13 as ops

    pixels = ops.parameter([1, 3, 127, 127], np.float32)
    value = Writer("int8").write(nn.Sequential(first, norm), Value(pixels, pixels=Preprocessing()))
    assert value.spread is not None
    np.testing.assert_array_equal(value.spread.mean, norm.bias.detach().numpy())
    np.testing.assert_array_equal(value.spread.deviation, norm.weight.detach().abs().numpy())


def test_a_module_that_it_cannot_write_is_named() -> None:
    with pytest.raises(TypeError, match="Tanh"):
        Writer("fp32").write(nn.Tanh(), Value(None))


@pytest.mark.parametrize("arithmetic", ["fp32", "bf16", "int8"])
def test_the_network_is_left_as_it_was(arithmetic: Any) -> None:
    network = random_network(TINY_HEAD)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    step_graph(network, Preprocessing("bgr", 114.0, 58.0), arithmetic)
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in after.items())
