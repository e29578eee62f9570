"""A network's layers as frozen, self-validating values. Each raises `ConfigError` on construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.checks import require


@dataclass(frozen=True, slots=True)
class ConvLayer:
    """A convolution; `norm` puts a batch norm after it, `relu` a ReLU after that, whose outputs end at `ceiling`.

    `padding`: zeros on every side of the input. `ceiling`: 0 for none, 6 for ReLU6.
    """

    channels: int
    kernel: int
    stride: int = 1
    groups: int = 1
    norm: bool = True
    relu: bool = True
    padding: int = 0
    ceiling: float = 0.0

    def __post_init__(self) -> None:
        require(
            min(self.channels, self.kernel, self.stride, self.groups) >= 1,
            f"a convolution's numbers must be at least 1: {self}",
        )
        require(self.channels % self.groups == 0, f"channels must be a multiple of groups: {self}")
        require(0 <= self.padding < self.kernel, f"padding must lie in 0..{self.kernel - 1}: {self}")
        require(self.ceiling >= 0 and (self.relu or not self.ceiling), f"a ceiling belongs to a ReLU: {self}")


@dataclass(frozen=True, slots=True)
class BottleneckLayer:
    """An inverted residual: widen by 1 x 1, filter each channel, narrow by 1 x 1; the input is added where it fits.

    Padded by half the kernel; every convolution has a batch norm, the first two a ReLU6. Source: Sandler et al. 2018,
    section 3.4.
    """

    channels: int
    kernel: int = 3
    stride: int = 1
    expansion: int = 6

    def __post_init__(self) -> None:
        require(
            min(self.channels, self.stride, self.expansion) >= 1 and self.kernel % 2 == 1,
            f"a bottleneck's numbers must be at least 1 and its kernel odd: {self}",
        )

    @property
    def padding(self) -> int:
        """Zeros on every side of the input."""
        return self.kernel // 2


@dataclass(frozen=True, slots=True)
class PoolLayer:
    """An unpadded max pooling."""

    kernel: int
    stride: int

    def __post_init__(self) -> None:
        require(min(self.kernel, self.stride) >= 1, f"a pooling's numbers must be at least 1: {self}")

    @property
    def padding(self) -> int:
        """None."""
        return 0


Layer = ConvLayer | PoolLayer | BottleneckLayer


@dataclass(frozen=True, slots=True)
class BoxHeadConfig:
    """The head that reads offset, size and quality beside the map; see `model.box_head`.

    `reduced`: channels that are left of the search embedding; `channels` and `blocks`: of its separable convolutions.
    """

    reduced: int = 64
    channels: int = 96
    blocks: int = 4

    def __post_init__(self) -> None:
        require(min(self.reduced, self.channels, self.blocks) >= 1, f"a head's numbers must be at least 1: {self}")


def widths_behind(layers: Sequence[Layer], channels: int) -> list[int]:
    """Channels behind each layer. Raises ConfigError where a convolution's groups do not divide its input."""
    widths: list[int] = []
    for layer in layers:
        if isinstance(layer, ConvLayer):
            require(channels % layer.groups == 0, f"{channels} input channels do not divide into {layer}")
        channels = channels if isinstance(layer, PoolLayer) else layer.channels
        widths.append(channels)
    return widths
