"""Frozen, self-validating configuration: the network's layers and presets, and the tracker's constants.

Every value is checked on construction and raises `ConfigError`; unknown keys are refused by `from_dict`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from model.checks import FromDict, require
from model.errors import ConfigError
from model.layers import BottleneckLayer, BoxHeadConfig, ConvLayer, Layer, PoolLayer, widths_behind


@dataclass(frozen=True, slots=True)
class Preprocessing(FromDict):
    """How uint8 pixels become the network's input: `(pixel - mean) / std`, channels in `order`."""

    order: Literal["rgb", "bgr"] = "rgb"
    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        require(self.order in ("rgb", "bgr"), f"order must be rgb or bgr, not {self.order!r}")
        require(math.isfinite(self.mean), f"mean must be finite, not {self.mean}")
        require(math.isfinite(self.std) and self.std > 0, f"std must be positive, not {self.std}")


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
    taps: tuple[int, ...] = ()
    """Layers, counted from 0, whose outputs lie side by side before `neck`, averaged to the size of the last one's;
    none: the last layer's output is the embedding, or the neck's input."""
    neck: tuple[ConvLayer, ...] = ()
    exemplar_cells: int = 0
    """Cells on a side of the exemplar: the middle ones of its crop's embedding; 0: all of them."""
    head: BoxHeadConfig | None = None
    """Beside the map; without it the map tells place and size."""

    def __post_init__(self) -> None:
        require(bool(self.layers), "a network needs at least one layer")
        require(isinstance((*self.layers, *self.neck)[-1], ConvLayer), "the last layer must be a convolution")
        require(all(0 <= tap < len(self.layers) for tap in self.taps), f"taps must name layers: {self.taps}")
        require(not self.taps or bool(self.neck), "taps need a neck")
        require(
            0 < self.exemplar_size < self.search_size <= 1024,
            f"exemplar_size must be below search_size (at most 1024): {self.exemplar_size}, {self.search_size}",
        )
        require(0 < self.norm_eps < 0.1, f"norm_eps must lie in (0, 0.1), not {self.norm_eps}")
        cells = self.embedding_size(self.exemplar_size)
        spare = cells - self.exemplar_cells
        require(
            not self.exemplar_cells or (0 <= spare < cells and spare % 2 == 0),
            f"exemplar_cells must be the middle ones of {cells}, not {self.exemplar_cells}",
        )
        widths = widths_behind(self.layers, 3)
        if self.neck:
            widths_behind(self.neck, sum(widths[tap] for tap in self.taps) if self.taps else widths[-1])

    @property
    def stride(self) -> int:
        """Pixels of the crop between neighbouring cells of the embedding."""
        return math.prod(layer.stride for layer in (*self.layers, *self.neck))

    @property
    def channels(self) -> int:
        """Channels of the embedding."""
        last = (*self.layers, *self.neck)[-1]
        assert isinstance(last, ConvLayer)
        return last.channels

    @property
    def exemplar_side(self) -> int:
        """Cells on a side of an exemplar's embedding."""
        return self.exemplar_cells or self.embedding_size(self.exemplar_size)

    def embedding_size(self, crop_size: int) -> int:
        """Cells on a side of the embedding of a square crop of `crop_size` pixels."""
        size = crop_size
        for layer in (*self.layers, *self.neck):
            size = (size + 2 * layer.padding - layer.kernel) // layer.stride + 1
            require(size >= 1, f"a crop of {crop_size} px is too small for the network {self.name}")
        return size

    @property
    def map_size(self) -> int:
        """Cells on a side of the correlation map."""
        return self.embedding_size(self.search_size) - self.exemplar_side + 1

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


def _swift() -> NetworkConfig:
    """EfficientNet-Lite0's first eleven blocks (Tan and Le 2019; 0.32 GMAC a 255 px crop), a neck and a box head."""

    def stage(channels: int, kernel: int, stride: int, count: int) -> list[BottleneckLayer]:
        return [BottleneckLayer(channels, kernel, stride if index == 0 else 1) for index in range(count)]

    return NetworkConfig(
        name="swift",
        layers=(
            *(ConvLayer(32, 3, 2, padding=1, ceiling=6.0), BottleneckLayer(16, expansion=1)),
            *(*stage(24, 3, 2, 2), *stage(40, 5, 2, 2), *stage(80, 3, 2, 3), *stage(112, 5, 1, 3)),
        ),
        norm_eps=1e-3,
        taps=(5, 8, 11),
        neck=(
            ConvLayer(192, 1, ceiling=6.0),
            ConvLayer(192, 3, groups=192, padding=1, ceiling=6.0),
            ConvLayer(128, 1, norm=False, relu=False),
        ),
        exemplar_cells=4,
        head=BoxHeadConfig(),
    )


PRESET_NAMES = ("swift", "paper", "light", "baseline", "vgg11_5c", "vgg16_8c")


def preset(name: str) -> NetworkConfig:
    """The network of that name.

    `paper`: Bertinetto et al. 2016, table 1 (stride 8, 256 channels, map 17). `baseline`, `vgg11_5c`, `vgg16_8c`:
    the embedding networks of rafellerc/Pytorch-SiamFC (`training/models.py`; stride 4, 32 channels). `light`: ours, for
    CPUs (stride 8, 192 channels, map 17).
    """
    if name == "swift":
        return _swift()
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
class TrackerConfig(FromDict):
    """The constants of the tracker step. Defaults: Bertinetto et al. 2016 (section 3 and the released 3-scale code)."""

    context: float = 0.5
    """Margin around the exemplar's box, as a share of width + height, split over both sides."""
    scales: int = 3
    """Search regions a frame; odd, the middle one at the present size."""
    scale_step: float = 1.0375
    """Ratio between neighbouring scales."""
    scale_damping: float = 0.59
    """Share of the measured size change that is taken over, 0..1; with a box head, at a quality of 1."""
    offset_share: float = 0.5
    """Share of the box head's centre in the target's place, 0..1; the rest is the map's peak."""
    quality_influence: float = 0.0
    """Weight of the box head's quality in the response: so many times its logit is added to the correlation's."""
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
    """Whether a lost target is also searched away from where it was lost; with one scale, every second frame."""
    redetect_score: float = 0.85
    """Least score, 0..1, at which a lost target is accepted at another place."""

    def __post_init__(self) -> None:
        require(0 <= self.context <= 4, f"context must lie in 0..4, not {self.context}")
        require(self.scales in (1, 3, 5, 7), f"scales must be 1, 3, 5 or 7, not {self.scales}")
        require(1 < self.scale_step <= 1.5, f"scale_step must lie in (1, 1.5], not {self.scale_step}")
        for name in (
            "scale_damping",
            "offset_share",
            "scale_penalty",
            "window_influence",
            "still_influence",
            "redetect_score",
        ):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie in 0..1, not {getattr(self, name)}")
        require(0 <= self.quality_influence <= 10, f"quality_influence must lie in 0..10, not {self.quality_influence}")
        require(0 <= self.still_speed <= 1000, f"still_speed must lie in 0..1000, not {self.still_speed}")
        require(1 <= self.upscale <= 64, f"upscale must lie in 1..64, not {self.upscale}")
        require(1 <= self.min_side <= 100, f"min_side must lie in 1..100, not {self.min_side}")
        require(1 <= self.max_growth <= 1000, f"max_growth must lie in 1..1000, not {self.max_growth}")
        require(0 < self.max_frame_share <= 10, f"max_frame_share must lie in (0, 10], not {self.max_frame_share}")

    @classmethod
    def of(cls, network: NetworkConfig) -> TrackerConfig:
        """The constants that a network begins with: the paper's, or with a box head ours for one search region."""
        if network.head is None:
            return cls()
        # A value every half pixel of the crop, as the paper has it.
        fine = min(2 * network.stride, 64)
        return cls(
            scales=1,
            scale_damping=0.4,
            quality_influence=0.8,
            window_influence=0.25,
            still_influence=0.4,
            still_speed=16.0,
            upscale=fine,
        )

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
