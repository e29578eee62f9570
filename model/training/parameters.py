"""The parameters that are trained, their optimizer, and the arithmetic."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from model.config import ConvLayer
from model.errors import ConfigError
from model.inference.devices import choose_precision
from model.network import SiamFC
from model.training.config import TrainingConfig


def freeze(network: SiamFC, convolutions: int) -> list[nn.Module]:
    """Fix the embedding's first `convolutions` convolutions with the norms that follow them, and return them.

    Norms among them must be kept in eval mode. Raises ConfigError where that would leave nothing to train.
    """
    frozen: list[nn.Module] = []
    met = 0
    for module in network.embedding:
        met += isinstance(module, nn.Conv2d)
        if met <= convolutions:
            frozen.append(module.requires_grad_(False))
    if convolutions and met <= convolutions:
        raise ConfigError(f"freeze must be below the {met} convolutions of {network.config.name}, not {convolutions}")
    return frozen


def shared_beginning(given: SiamFC, wanted: SiamFC) -> dict[str, Tensor]:
    """The part of the state dict of `given` that fits `wanted`, under the names of `wanted`.

    All of it if the layers are the same. Else the convolutions from the input on, as far as they are the same, with the
    norms that follow them; poolings do not matter, and the match norm is left out.
    """
    if given.config.layers == wanted.config.layers:
        return given.state_dict()
    shared: dict[str, Tensor] = {}
    for (theirs, one), (ours, other) in zip(_convolutions(given), _convolutions(wanted), strict=False):
        if one != other:
            break
        for index, place in zip(theirs, ours, strict=True):
            module = given.embedding[index]
            shared |= {f"embedding.{place}.{name}": value for name, value in module.state_dict().items()}
    return shared


def _convolutions(network: SiamFC) -> list[tuple[list[int], ConvLayer]]:
    """Each convolution with the indexes, in the embedding, of itself and of the modules after it up to a pooling."""
    places: list[list[int]] = []
    for index, module in enumerate(network.embedding):
        if isinstance(module, nn.Conv2d):
            places.append([index])
        elif not isinstance(module, nn.MaxPool2d):
            places[-1].append(index)
    layers = [layer for layer in network.config.layers if isinstance(layer, ConvLayer)]
    return list(zip(places, layers, strict=True))


def make_optimizer(modules: Iterable[nn.Module], config: TrainingConfig) -> torch.optim.Optimizer:
    """The run's optimizer over the parameters that are not frozen; those with one number a channel do not decay."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def autocast_dtype(config: TrainingConfig, device: torch.device) -> torch.dtype | None:
    """The embedding's type in training, or None for fp32: a CPU without bf16 arithmetic would emulate it, slowly."""
    if config.precision == "fp32":
        return None
    if config.precision == "bf16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    return torch.bfloat16 if choose_precision("auto", device) == "bf16" else None
