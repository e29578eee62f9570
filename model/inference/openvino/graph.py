"""The graphs that OpenVINO compiles: the embedding alone, with the correlation's products, or with map and box head.

Not `convert_model`: the integers of int8 are placed by hand (`model.inference.openvino.writer`). Only this folder
imports OpenVINO (the extra `openvino`).

Shape legend: B crops, C channels, e x e cells of an exemplar, s x s cells of a crop's embedding, S x S of a map.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import Model
from openvino import opset13 as ops
from torch import nn

from model.config import NetworkConfig, Preprocessing
from model.inference.openvino.writer import Arithmetic, Writer, affine
from model.network import Affine, SiamFC


def embedding_graph(network: SiamFC, preprocessing: Preprocessing, arithmetic: Arithmetic) -> Model:
    """From crops uint8 [B, side, side, 3] RGB, any B and side, to embeddings float32 [B, C, s, s]."""
    crops = ops.parameter([-1, -1, -1, 3], np.uint8, name="crops")
    embeddings = Writer(arithmetic).embedding(crops, network, preprocessing).node
    return Model([ops.result(embeddings)], [crops], "embedding")


def products_graph(network: SiamFC, preprocessing: Preprocessing, arithmetic: Arithmetic) -> Model:
    """The correlation's products too: from crops, as above, and exemplars fp16 [B, C, e * e], or one for all crops.

    To float32 [B, e * e, s * s]: each cell of the exemplar with each cell of the crop's embedding. Here they are
    multiplied where the embedding lies, with nothing to be reordered or copied out.
    """
    channels = network.config.channels
    crops = ops.parameter([-1, -1, -1, 3], np.uint8, name="crops")
    embeddings = Writer(arithmetic).embedding(crops, network, preprocessing).node
    exemplars = ops.parameter([-1, channels, -1], np.float16, name="exemplars")
    cells = ops.reshape(ops.transpose(embeddings, np.array([0, 2, 3, 1])), np.array([0, -1, channels]), True)
    products = ops.matmul(ops.convert(exemplars, np.float32), cells, True, True)
    return Model([ops.result(products)], [crops, exemplars], "products")


def step_graph(network: SiamFC, preprocessing: Preprocessing, arithmetic: Arithmetic) -> Model:
    """A network with a head: from crops uint8 [B, side, side, 3], exemplars fp16 [B, C, e * e], shapes float32 [B, 2].

    To float32 [B, 6, S, S]: the map's logits, then the head's outputs.
    """
    assert network.head is not None
    assert isinstance(network.match_norm, nn.BatchNorm2d)
    config, writer = network.config, Writer(arithmetic)
    crops = ops.parameter([-1, config.search_size, config.search_size, 3], np.uint8, name="crops")
    exemplars = ops.parameter([-1, config.channels, config.exemplar_side**2], np.float16, name="exemplars")
    shapes = ops.parameter([-1, 2], np.float32, name="shapes")
    searches = writer.embedding(crops, network, preprocessing).node
    parts = _part_responses(ops.convert(exemplars, np.float32), searches, config)
    response = affine(Affine.from_norm(network.match_norm), ops.reduce_sum(parts, np.array([1]), True))
    outputs = writer.head(network.head, parts, searches, shapes)
    return Model([ops.result(ops.concat([response, outputs], 1))], [crops, exemplars, shapes], "step")


def _part_responses(exemplars: Any, searches: Any, config: NetworkConfig) -> Any:
    """`model.box_head.part_responses`: [B, e * e, S, S] of exemplars [B, C, e * e] and searches [B, C, s, s]."""
    side, s, cells = config.exemplar_side, config.embedding_size(config.search_size), config.map_size
    flat = ops.reshape(searches, np.array([0, config.channels, s * s]), True)
    products = ops.reshape(ops.matmul(exemplars, flat, True, False), np.array([0, side * side, s, s]), True)
    parts = [
        ops.slice(products, [i * side + j, i, j], [i * side + j + 1, i + cells, j + cells], [1, 1, 1], [1, 2, 3])
        for i in range(side)
        for j in range(side)
    ]
    return ops.concat(parts, 1)
