"""Frozen, self-validating configuration: the network's layers and presets, and the tracker's constants.

Every value is checked on construction and raises `ConfigError`; unknown keys are refused by `from_dict`.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, Self

from model.errors import ConfigError


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


class _FromDict:
    """Mixin: build from a mapping, refusing keys that no field has."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - known)
        _require(not unknown, f"{cls.__name__} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        return cls(**values)


@dataclass(frozen=True, slots=True)
class ConvLayer:
    """An unpadded convolution; `norm` puts a batch norm after it, `relu` a ReLU after that."""

    channels: int
    kernel: int
    stride: int = 1
    groups: int = 1
    norm: bool = True
    relu: bool = True

    def __post_init__(self) -> None:
        _require(
            min(self.channels, self.kernel, self.stride, self.groups) >= 1,
            f"a convolution's numbers must be at least 1: {self}",
        )
        _require(self.channels % self.groups == 0, f"channels must be a multiple of groups: {self}")


@dataclass(frozen=True, slots=True)
class PoolLayer:
    """An unpadded max pooling."""

    kernel: int
    stride: int

    def __post_init__(self) -> None:
        _require(min(self.kernel, self.stride) >= 1, f"a pooling's numbers must be at least 1: {self}")


Layer = ConvLayer | PoolLayer


@dataclass(frozen=True, slots=True)
class Preprocessing(_FromDict):
    """How uint8 pixels become the network's input: `(pixel - mean) / std`, channels in `order`."""

    order: Literal["rgb", "bgr"] = "rgb"
    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        _require(self.order in ("rgb", "bgr"), f"order must be rgb or bgr, not {self.order!r}")
        _require(math.isfinite(self.mean), f"mean must be finite, not {self.mean}")
        _require(math.isfinite(self.std) and self.std > 0, f"std must be positive, not {self.std}")


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A fully-convolutional Siamese network: its embedding's layers and the sizes that follow from them.

    Sizes are in pixels of the crop (`exemplar_size`, `search_size`) or in cells (`embedding_size`, `map_size`).
    Source: Bertinetto et al. 2016, section 2 and table 1.
    """

    name: str
    layers: tuple[Layer, ...]
    exemplar_size: int = 127
    search_size: int = 255
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        _require(bool(self.layers), "a network needs at least one layer")
        _require(isinstance(self.layers[-1], ConvLayer), "the last layer must be a convolution")
        _require(
            0 < self.exemplar_size < self.search_size <= 1024,
            f"exemplar_size must be below search_size (at most 1024): {self.exemplar_size}, {self.search_size}",
        )
        _require(0 < self.norm_eps < 0.1, f"norm_eps must lie in (0, 0.1), not {self.norm_eps}")
        self.embedding_size(self.exemplar_size)
        channels = 3
        for layer in self.layers:
            if isinstance(layer, ConvLayer):
                _require(channels % layer.groups == 0, f"{channels} input channels do not divide into {layer}")
                channels = layer.channels

    @property
    def stride(self) -> int:
        """Pixels of the crop between neighbouring cells of the embedding."""
        return math.prod(layer.stride for layer in self.layers)

    @property
    def channels(self) -> int:
        """Channels of the embedding."""
        last = self.layers[-1]
        assert isinstance(last, ConvLayer)
        return last.channels

    def embedding_size(self, crop_size: int) -> int:
        """Cells on a side of the embedding of a square crop of `crop_size` pixels."""
        size = crop_size
        for layer in self.layers:
            size = (size - layer.kernel) // layer.stride + 1
            _require(size >= 1, f"a crop of {crop_size} px is too small for the network {self.name}")
        return size

    @property
    def map_size(self) -> int:
        """Cells on a side of the correlation map."""
        return self.embedding_size(self.search_size) - self.embedding_size(self.exemplar_size) + 1

    @property
    def upscaled_size(self) -> int:
        """Side of the map upscaled to one value a pixel of displacement, its corner cells on the corners."""
        return (self.map_size - 1) * self.stride + 1


def _alexnet(name: str, second_pool_stride: int, channels: int, last_groups: int, norm_eps: float) -> NetworkConfig:
    return NetworkConfig(
        name=name,
        layers=(
            ConvLayer(96, 11, stride=2),
            PoolLayer(3, 2),
            ConvLayer(256, 5, groups=2),
            PoolLayer(3, second_pool_stride),
            ConvLayer(384, 3),
            ConvLayer(384, 3, groups=2),
            ConvLayer(channels, 3, groups=last_groups, norm=False, relu=False),
        ),
        norm_eps=norm_eps,
    )


def _vgg(name: str, stages: tuple[tuple[int, ...], ...]) -> NetworkConfig:
    layers: list[Layer] = []
    for index, stage in enumerate(stages):
        layers += [ConvLayer(channels, 3) for channels in stage]
        if index < 2:
            layers.append(PoolLayer(2, 2))
    layers.append(ConvLayer(32, 3, norm=False, relu=False))
    return NetworkConfig(name=name, layers=tuple(layers))


def _light() -> NetworkConfig:
    """Depthwise-separable (Howard et al. 2017): 0.080 GMAC a 255 px crop where `paper` has 2.7."""

    def depthwise(channels: int, stride: int = 1) -> ConvLayer:
        return ConvLayer(channels, 3, stride, groups=channels)

    late = [layer for _ in range(4) for layer in (depthwise(128), ConvLayer(128, 1))]
    return NetworkConfig(
        name="light",
        layers=(
            *(ConvLayer(16, 3, stride=2), depthwise(16, 2), ConvLayer(48, 1), depthwise(48), ConvLayer(64, 1)),
            *(depthwise(64, 2), ConvLayer(128, 1), *late[:-1], ConvLayer(192, 1, norm=False, relu=False)),
        ),
    )


PRESET_NAMES = ("paper", "light", "baseline", "vgg11_5c", "vgg16_8c")


def preset(name: str) -> NetworkConfig:
    """The network of that name.

    `paper`: Bertinetto et al. 2016, table 1 (stride 8, 256 channels, map 17). `baseline`, `vgg11_5c`, `vgg16_8c`:
    the embedding networks of rafellerc/Pytorch-SiamFC (`training/models.py`; stride 4, 32 channels). `light`: ours, for
    CPUs (stride 8, 192 channels, map 17).
    """
    if name == "paper":
        return _alexnet("paper", 2, 256, 2, 1e-6)
    if name == "light":
        return _light()
    if name == "baseline":
        return _alexnet("baseline", 1, 32, 2, 1e-5)
    if name == "vgg11_5c":
        return _vgg("vgg11_5c", ((64,), (128,), (256, 256)))
    if name == "vgg16_8c":
        return _vgg("vgg16_8c", ((64, 64), (128, 128), (256, 256, 256)))
    raise ConfigError(f"no network preset {name!r}; there are {', '.join(PRESET_NAMES)}")


@dataclass(frozen=True, slots=True)
class TrackerConfig(_FromDict):
    """The constants of the tracker step. Defaults: Bertinetto et al. 2016 (section 3 and the released 3-scale code)."""

    context: float = 0.5
    """Margin around the exemplar's box, as a share of width + height, split over both sides."""
    scales: int = 3
    """Search regions a frame; odd, the middle one at the present size."""
    scale_step: float = 1.0375
    """Ratio between neighbouring scales."""
    scale_damping: float = 0.59
    """Share of the measured size change that is taken over, 0..1."""
    scale_penalty: float = 0.9745
    """Factor on the response of every scale but the middle one, 0..1."""
    scale_interpolation: bool = False
    """Whether the size is that at the top of a parabola through neighbouring scales' peaks, not one of the scales."""
    window_influence: float = 0.176
    """Weight of the cosine window in the searched map, 0..1; with `still_speed`, for fast targets."""
    still_influence: float = 0.4
    """Weight of the cosine window for a stationary target."""
    still_speed: float = 0.0
    """Scale, in search region pixels a frame, of the exponential from `still_influence` at rest to `window_influence`;
    0: `window_influence` at all speeds."""
    upscale: int = 16
    """Values a cell of the upscaled correlation map."""
    min_side: float = 2.0
    """Least width and height of a target, in frame pixels."""
    max_growth: float = 10.0
    """Greatest size as a multiple of the first box's."""
    max_frame_share: float = 2.0
    """Greatest width (height) of a target as a share of the frame's width (height)."""
    redetect: bool = True
    """Whether a lost target is also searched away from where it was lost (with 3 scales or more)."""
    redetect_score: float = 0.85
    """Least score, 0..1, at which a lost target is accepted at another place."""

    def __post_init__(self) -> None:
        _require(0 <= self.context <= 4, f"context must lie in 0..4, not {self.context}")
        _require(self.scales in (1, 3, 5, 7), f"scales must be 1, 3, 5 or 7, not {self.scales}")
        _require(1 < self.scale_step <= 1.5, f"scale_step must lie in (1, 1.5], not {self.scale_step}")
        for name in ("scale_damping", "scale_penalty", "window_influence", "still_influence", "redetect_score"):
            _require(0 <= getattr(self, name) <= 1, f"{name} must lie in 0..1, not {getattr(self, name)}")
        _require(0 <= self.still_speed <= 1000, f"still_speed must lie in 0..1000, not {self.still_speed}")
        _require(1 <= self.upscale <= 64, f"upscale must lie in 1..64, not {self.upscale}")
        _require(1 <= self.min_side <= 100, f"min_side must lie in 1..100, not {self.min_side}")
        _require(1 <= self.max_growth <= 1000, f"max_growth must lie in 1..1000, not {self.max_growth}")
        _require(0 < self.max_frame_share <= 10, f"max_frame_share must lie in (0, 10], not {self.max_frame_share}")

    def influence(self, speed: float) -> float:
        """The cosine window's weight for a target that moves `speed` search region pixels a frame."""
        if not self.still_speed:
            return self.window_influence
        return self.window_influence + (self.still_influence - self.window_influence) * math.exp(
            -speed / self.still_speed
        )

    @property
    def scale_factors(self) -> tuple[float, ...]:
        """The search regions' sizes against the present one, smallest first."""
        half = self.scales // 2
        return tuple(self.scale_step**power for power in range(-half, half + 1))
