"""Small networks and random weights, so that a test need not pay for the real ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.checkpoints import Weights
from model.config import NetworkConfig, Preprocessing, preset
from model.layers import BottleneckLayer, BoxHeadConfig, ConvLayer, PoolLayer
from model.network import SiamFC, initialise

# 127 -conv11/4-> 30 -pool2/2-> 15 -conv3-> 13; 255 -> 62 -> 31 -> 29; the map has 17 cells of 8 px, as `paper` has.
TINY = NetworkConfig(
    name="tiny",
    layers=(ConvLayer(6, 11, stride=4), PoolLayer(2, 2), ConvLayer(8, 3, groups=2, norm=False, relu=False)),
)

# 127 -> 64 -> 32 -> 16 -> 8 cells, of which the exemplar has the middle 4; 255 -> 16; the map has 13 cells of 16 px.
TINY_HEAD = NetworkConfig(
    name="tiny_head",
    layers=(
        ConvLayer(4, 3, 2, padding=1, ceiling=6.0),
        BottleneckLayer(4, expansion=1, stride=2),
        BottleneckLayer(6, 5, 2, expansion=2),
        BottleneckLayer(6, 3, 2, expansion=2),
        BottleneckLayer(6, 3, 1, expansion=2),
    ),
    taps=(2, 4),
    neck=(ConvLayer(8, 1, ceiling=6.0), ConvLayer(8, 1, norm=False, relu=False)),
    exemplar_cells=4,
    head=BoxHeadConfig(reduced=4, channels=8, blocks=2),
)


def random_network(config: NetworkConfig, seed: int = 0) -> SiamFC:
    """A network in eval mode with random kernels, biases and batch norm statistics, none of them trivial."""
    generator = torch.Generator().manual_seed(seed)
    network = SiamFC(config)
    initialise(network, generator)
    randomise_norms(network, generator)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            if module.bias is None:
                continue
            module.bias.data.normal_(0, 0.1, generator=generator)
    return network.eval().requires_grad_(False)


def randomise_norms(network: nn.Module, generator: torch.Generator) -> None:
    """Give every batch norm weights, biases and statistics that change what passes."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.3, generator=generator)
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)


def random_weights(name: str = "paper", seed: int = 0) -> Weights:
    """Untrained weights of a preset."""
    return Weights(random_network(preset(name), seed), Preprocessing(mean=114.0, std=58.0))


def settled_network(config: NetworkConfig, crops: Tensor, seed: int = 0) -> SiamFC:
    """A random network whose batch norms have the statistics of preprocessed crops [B, 3, side, side].

    As training leaves them: what the norms say of the activations is true of such crops.
    """
    network = random_network(config, seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    network.train()
    with torch.no_grad():
        network.embed(crops)
    network.match_norm.reset_running_stats()  # type: ignore[operator]
    return network.eval()
