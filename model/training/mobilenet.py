"""MobileNetV2's features as a teacher: an image classifier's knowledge for networks trained on little video.

Source: Sandler et al. 2018, table 2; its first 13 bottlenecks, the last stride of 2 replaced by a dilation of 2, so
that cells lie 8 px apart. The file is a state dict in the order of torchvision's or tonylins/pytorch-mobilenet-v2's
modules, which is the same. Shape legend: M views.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model.errors import CheckpointError
from model.torch_files import load_tensors
from model.training.objective import Maps

_STAGES = ((1, 16, 1, 1, 1), (6, 24, 2, 2, 1), (6, 32, 3, 2, 1), (6, 64, 4, 1, 2), (6, 96, 3, 1, 2))
"""Expansion, channels, repetitions, first stride, and dilation of the blocks after a stage's first."""

_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Mean and deviation of ImageNet's pixels, 0..255 RGB."""


class _Bottleneck(nn.Module):
    """Expand, filter each channel, project; added to its input where the shapes are equal."""

    def __init__(self, channels: int, out: int, stride: int, expansion: int, dilation: int) -> None:
        super().__init__()
        hidden = channels * expansion
        self.adds = stride == 1 and channels == out
        expand = _convolution(channels, hidden, 1) if expansion > 1 else []
        filtered = _convolution(hidden, hidden, 3, stride=stride, dilation=dilation, groups=hidden)
        self.layers = nn.Sequential(*expand, *filtered, *_convolution(hidden, out, 1)[:2])

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


def _convolution(
    channels: int, out: int, kernel: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    convolution = nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias=False)
    return [convolution, nn.BatchNorm2d(out), nn.ReLU6(inplace=True)]


class MobileNetV2:
    """The frozen classifier's features, each channel standardised over the batch's cells: [M, 96, side/8, side/8]."""

    channels = 96
    stride = 8
    offset = -3.0
    """Padded, its first cell lies on the first pixel: of a 255 px crop's 32 cells the middle lies on pixel 124."""

    def __init__(self, path: Path) -> None:
        """Raises CheckpointError where the file is no such state dict."""
        blocks = _blocks()
        state = load_tensors(path, "MobileNetV2's state dict")
        try:
            # Without the norms' counters.
            found = [value for name, value in state.items() if name.startswith("features.") and value.ndim]
        except AttributeError as error:
            raise CheckpointError(f"{path}: cannot be read as MobileNetV2's state dict: {error}") from error
        own = {name: value for name, value in blocks.state_dict().items() if value.ndim}
        for (name, value), given in zip(own.items(), found, strict=False):
            if value.shape != given.shape:
                raise CheckpointError(f"{path}: features.{name} is {tuple(given.shape)}, not {tuple(value.shape)}")
        if len(found) < len(own):
            raise CheckpointError(f"{path}: holds {len(found)} features, not MobileNetV2's {len(own)}")
        blocks.load_state_dict(dict(zip(own, found, strict=False)), strict=False)
        self.network = _folded(blocks.eval()).requires_grad_(False)
        self._mean, self._std = (torch.tensor(each).view(3, 1, 1) for each in (_MEAN, _STD))

    def embed(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.network((pixels - self._mean) / self._std).float()
        std, mean = torch.std_mean(features, (0, 2, 3), keepdim=True)
        return (features - mean) / std.clamp(min=1e-6)

    def maps(self, embeddings: Tensor, shifts: Tensor) -> Maps | None:
        """None: a classifier has no exemplar."""
        return None

    def place(self, device: torch.device) -> None:
        self.network.to(device=device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._mean, self._std = self._mean.to(device), self._std.to(device)


def _blocks() -> nn.Sequential:
    blocks: list[nn.Module] = [nn.Sequential(*_convolution(3, 32, 3, stride=2))]
    channels, spread = 32, 1
    for expansion, out, repetitions, first_stride, dilation in _STAGES:
        for index in range(repetitions):
            stride = first_stride if index == 0 else 1
            blocks.append(_Bottleneck(channels, out, stride, expansion, spread))
            # The filter whose stride was removed still sees the finer grid; the filters after it are dilated.
            channels, spread = out, dilation
    return nn.Sequential(*blocks)


def _folded(module: nn.Sequential) -> nn.Sequential:
    """The layers with every norm folded into the convolution before it."""
    kept: list[nn.Module] = []
    for child in module:
        if isinstance(child, nn.BatchNorm2d):
            convolution = kept.pop()
            assert isinstance(convolution, nn.Conv2d)
            child = fuse_conv_bn_eval(convolution, child)
        elif isinstance(child, nn.Sequential):
            child = _folded(child)
        elif isinstance(child, _Bottleneck):
            child.layers = _folded(child.layers)
        kept.append(child)
    return nn.Sequential(*kept)
