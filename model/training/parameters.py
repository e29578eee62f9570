"""The parameters that are trained, their optimizer, and the arithmetic."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from model.errors import ConfigError
from model.inference.devices import choose_precision
from model.layers import ConvLayer
from model.network import SiamFC, TrunkAndNeck
from model.training.config import TrainingConfig


def freeze(network: SiamFC, convolutions: int) -> list[nn.Module]:
    """Fix the embedding's first `convolutions` convolutions with the norms that follow them, and return them.

    With a neck they are counted in layers of the trunk. Norms among them must be kept in eval mode. Raises ConfigError
    where that would leave nothing to train.
    """
    if isinstance(network.embedding, TrunkAndNeck):
        if convolutions >= len(network.embedding.trunk):
            raise ConfigError(f"freeze must be below the {len(network.embedding.trunk)} layers of the trunk")
        return [layer.requires_grad_(False) for layer in list(network.embedding.trunk)[:convolutions]]
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


def make_optimizer(network: SiamFC, beside: Iterable[nn.Module], config: TrainingConfig) -> torch.optim.Optimizer:
    """The run's optimizer over the parameters that are not frozen; those with one number a channel do not decay.

    `beside`: modules that are trained along. A trunk's rate is `trunk_rate` times the others' (the group's "factor").
    """
    trunk = trunk_of(network)
    slow = set() if trunk is None else set(trunk.parameters())
    modules = [network, *beside]
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    made = [
        {
            "params": [p for p in parameters if (p.ndim > 1) == kernels and (p in slow) == of_trunk],
            "weight_decay": config.weight_decay if kernels else 0.0,
            "factor": config.trunk_rate if of_trunk else 1.0,
        }
        for of_trunk in (False, True)
        for kernels in (True, False)
    ]
    groups = [group for group in made if group["params"]]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def trunk_of(network: SiamFC) -> nn.Sequential | None:
    """The layers before the neck, where there is one."""
    return network.embedding.trunk if isinstance(network.embedding, TrunkAndNeck) else None


def autocast_dtype(config: TrainingConfig, device: torch.device) -> torch.dtype | None:
    """The embedding's type in training, or None for fp32: a CPU without bf16 arithmetic would emulate it, slowly."""
    if config.precision == "fp32":
        return None
    if config.precision == "bf16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    return torch.bfloat16 if choose_precision("auto", device) == "bf16" else None
