from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

pytest.importorskip("openvino", reason="the extra openvino is not installed")

from model.config import PRESET_NAMES, Preprocessing, preset
from model.inference.openvino.graph import embedding_graph
from model.inference.openvino.quantisation import quantisable
from tests.support.networks import random_network


def operations(name: str, arithmetic: Any) -> Counter[str]:
    graph = embedding_graph(random_network(preset(name)), Preprocessing(), arithmetic)
    return Counter(node.get_type_name() for node in graph.get_ops())


@pytest.mark.parametrize("name", [name for name in PRESET_NAMES if quantisable(preset(name))])
def test_int8_rounds_what_every_convolution_reads(name: str) -> None:
    counted = operations(name, "int8")
    assert counted["FakeQuantize"] == counted["Convolution"] + counted["GroupConvolution"] > 0


@pytest.mark.parametrize("arithmetic", ["fp32", "bf16"])
def test_the_others_round_nothing(arithmetic: str) -> None:
    assert operations("light", arithmetic)["FakeQuantize"] == 0


@pytest.mark.parametrize("arithmetic", ["fp32", "bf16", "int8"])
def test_it_has_the_networks_layers(arithmetic: str) -> None:
    counted = operations("paper", arithmetic)
    # Table 1 of the paper: five convolutions, the second, fourth and fifth in two groups.
    assert (counted["Convolution"], counted["GroupConvolution"], counted["MaxPool"]) == (2, 3, 2)
    assert counted["Relu"] == 4


def test_any_number_of_crops_of_any_size() -> None:
    graph = embedding_graph(random_network(preset("paper")), Preprocessing(), "fp32")
    (crops,) = graph.inputs
    assert str(crops.get_partial_shape()) == "[?,?,?,3]"
    graph.reshape([2, 127, 127, 3])
    assert list(graph.outputs[0].get_shape()) == [2, 256, 6, 6]
