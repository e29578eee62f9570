from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from model.config import PRESET_NAMES, NetworkConfig, Preprocessing, TrackerConfig, preset
from model.errors import ConfigError
from model.layers import BottleneckLayer, BoxHeadConfig, ConvLayer, PoolLayer
from tests.support.networks import TINY, TINY_HEAD

# paper: 127 -conv11/2-> 59 -pool3/2-> 29 -conv5-> 25 -pool3/2-> 12 -conv3-> 10 -> 8 -> 6
#        255            -> 123        -> 61      -> 57          -> 28      -> 26 -> 24 -> 22
# baseline, its second pooling of stride 1: 127 -> 59 -> 29 -> 25 -> 23 -> 21 -> 19 -> 17
#        255 -> 123 -> 61 -> 57 -> 55 -> 53 -> 51 -> 49
# vgg11: 127 -> 125 -pool2-> 62 -> 60 -> 30 -> 28 -> 26 -> 24; 255 -> 253 -> 126 -> 124 -> 62 -> 60 -> 58 -> 56
# light: 127 -> 63 -> 31 -> 29 -> 14 -> 12 -> 10 -> 8 -> 6
#        255 -> 127 -> 63 -> 61 -> 30 -> 28 -> 26 -> 24 -> 22
# vgg16: 127 -> 125 -> 123 -> 61 -> 59 -> 57 -> 28 -> 26 -> 24 -> 22 -> 20
#        255 -> 253 -> 251 -> 125 -> 123 -> 121 -> 60 -> 58 -> 56 -> 54 -> 52
# swift: 127 -> 64 -> 32 -> 16 -> 8, of which the middle 4; 255 -> 128 -> 64 -> 32 -> 16
SIZES = [
    pytest.param("swift", 16, 128, 8, 16, 13, 193, id="swift"),
    pytest.param("paper", 8, 256, 6, 22, 17, 129, id="paper"),
    pytest.param("light", 8, 192, 6, 22, 17, 129, id="light"),
    pytest.param("baseline", 4, 32, 17, 49, 33, 129, id="baseline"),
    pytest.param("vgg11_5c", 4, 32, 24, 56, 33, 129, id="vgg11_5c"),
    pytest.param("vgg16_8c", 4, 32, 20, 52, 33, 129, id="vgg16_8c"),
]


@pytest.mark.parametrize(("name", "stride", "channels", "exemplar", "search", "map_size", "upscaled"), SIZES)
def test_sizes_of_the_presets(
    name: str, stride: int, channels: int, exemplar: int, search: int, map_size: int, upscaled: int
) -> None:
    network = preset(name)
    assert network.name == name
    assert (network.stride, network.channels) == (stride, channels)
    assert (network.embedding_size(127), network.embedding_size(255)) == (exemplar, search)
    assert (network.map_size, network.upscaled_size) == (map_size, upscaled)


def test_every_preset_has_its_sizes_checked() -> None:
    assert {case.values[0] for case in SIZES} == set(PRESET_NAMES)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"taps": (9,)}, "taps must name layers", id="a tap beyond the last layer"),
        pytest.param({"taps": (0,), "neck": (), "layers": TINY.layers}, "taps need a neck", id="taps without a neck"),
        pytest.param({"exemplar_cells": 3}, "the middle ones of 8", id="cells without a middle"),
        pytest.param({"exemplar_cells": 10}, "the middle ones of 8", id="more cells than there are"),
        pytest.param({"neck": (ConvLayer(10, 1, groups=5),)}, "do not divide into", id="a neck that does not fit"),
    ],
)
def test_refused_trunks(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        replace(TINY_HEAD, **changes)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: BottleneckLayer(8, kernel=4), "its kernel odd", id="an even kernel has no middle"),
        pytest.param(lambda: BottleneckLayer(0), "at least 1", id="no channels"),
        pytest.param(lambda: BoxHeadConfig(blocks=0), "at least 1", id="a head without blocks"),
        pytest.param(lambda: ConvLayer(8, 3, padding=3), "padding must lie in 0..2", id="padding beyond the kernel"),
        pytest.param(lambda: ConvLayer(8, 3, relu=False, ceiling=6.0), "belongs to a ReLU", id="a ceiling of nothing"),
    ],
)
def test_refused_layers(make: Callable[[], object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        make()


def test_what_the_light_preset_costs() -> None:
    # Multiplications of a 255 px crop: at most 0.08 of 10^9, where `paper` has 2.7.
    def multiplications(name: str) -> int:
        size, channels, total = 255, 3, 0
        for layer in preset(name).layers:
            size = (size - layer.kernel) // layer.stride + 1
            if isinstance(layer, ConvLayer):
                total += size**2 * layer.channels * layer.kernel**2 * channels // layer.groups
                channels = layer.channels
        return total

    assert 0.078e9 < multiplications("light") <= 0.08e9
    assert multiplications("paper") > 30 * multiplications("light")


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'resnet'.*paper, light, baseline"):
        preset("resnet")


def _network(**changes: Any) -> NetworkConfig:
    return NetworkConfig(**{"name": "n", "layers": (ConvLayer(8, 3, groups=1),), **changes})


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: ConvLayer(0, 3), "at least 1", id="no channels"),
        pytest.param(lambda: ConvLayer(8, 3, stride=0), "at least 1", id="no stride"),
        pytest.param(lambda: ConvLayer(9, 3, groups=2), "multiple of groups", id="channels not divided by groups"),
        pytest.param(lambda: PoolLayer(0, 2), "at least 1", id="pooling of nothing"),
        pytest.param(lambda: _network(layers=()), "at least one layer", id="no layers"),
        pytest.param(
            lambda: _network(layers=(ConvLayer(8, 3), PoolLayer(2, 2))), "last layer", id="pooling at the end"
        ),
        pytest.param(lambda: _network(layers=(ConvLayer(8, 3, groups=2),)), "do not divide", id="3 channels, 2 groups"),
        pytest.param(lambda: _network(exemplar_size=255), "below search_size", id="exemplar as large as search region"),
        pytest.param(lambda: _network(search_size=2000), "at most 1024", id="huge search region"),
        pytest.param(lambda: _network(exemplar_size=2), "too small", id="exemplar below the kernel"),
        pytest.param(lambda: _network(norm_eps=0.0), "norm_eps", id="no eps"),
        pytest.param(lambda: Preprocessing(order="hsv"), "rgb or bgr", id="channel order"),  # type: ignore[arg-type]
        pytest.param(lambda: Preprocessing(mean=math.nan), "mean", id="mean of nan"),
        pytest.param(lambda: Preprocessing(std=0.0), "std", id="no spread"),
        pytest.param(lambda: Preprocessing(std=math.inf), "std", id="infinite spread"),
        pytest.param(lambda: TrackerConfig(context=-0.1), "context", id="negative context"),
        pytest.param(lambda: TrackerConfig(scales=2), "scales", id="even scales"),
        pytest.param(lambda: TrackerConfig(scale_step=1.0), "scale_step", id="scales that do not differ"),
        pytest.param(lambda: TrackerConfig(scale_damping=1.1), "scale_damping", id="more than the whole change"),
        pytest.param(lambda: TrackerConfig(scale_penalty=-0.1), "scale_penalty", id="negative penalty"),
        pytest.param(lambda: TrackerConfig(window_influence=math.nan), "window_influence", id="window of nan"),
        pytest.param(lambda: TrackerConfig(upscale=0), "upscale", id="no upscaling"),
        pytest.param(lambda: TrackerConfig(min_side=0.5), "min_side", id="less than a pixel"),
        pytest.param(lambda: TrackerConfig(max_growth=0.9), "max_growth", id="must shrink"),
        pytest.param(lambda: TrackerConfig(max_frame_share=0), "max_frame_share", id="no share of the frame"),
    ],
)
def test_refusals(make: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        make()


@pytest.mark.parametrize("kind", [Preprocessing, TrackerConfig])
def test_an_unknown_key_is_refused_by_name(kind: Any) -> None:
    with pytest.raises(ConfigError, match=f"{kind.__name__} has no field colour, scale_stepp"):
        kind.from_dict({"scale_stepp": 1.05, "colour": 1})


def test_from_dict_takes_known_keys() -> None:
    assert TrackerConfig.from_dict({"scales": 5}) == TrackerConfig(scales=5)


@pytest.mark.parametrize(
    ("scales", "expected"),
    [(1, (1.0,)), (3, (1 / 1.0375, 1.0, 1.0375)), (5, (1 / 1.0375**2, 1 / 1.0375, 1.0, 1.0375, 1.0375**2))],
)
def test_scale_factors_lie_around_one(scales: int, expected: tuple[float, ...]) -> None:
    assert TrackerConfig(scales=scales).scale_factors == pytest.approx(expected)


@pytest.mark.parametrize(
    ("still_speed", "speed", "expected"),
    [
        pytest.param(0.0, 0.0, 0.1, id="switched off"),
        pytest.param(2.0, 0.0, 0.5, id="standing still"),
        pytest.param(2.0, 2.0, 0.1 + 0.4 / math.e, id="as fast as is still"),
        pytest.param(2.0, 1e6, 0.1, id="very fast"),
    ],
)
def test_the_window_is_the_stronger_the_stiller_the_target(still_speed: float, speed: float, expected: float) -> None:
    tracker = TrackerConfig(window_influence=0.1, still_influence=0.5, still_speed=still_speed)
    assert tracker.influence(speed) == pytest.approx(expected)
