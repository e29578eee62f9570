from __future__ import annotations

from collections.abc import Callable

import pytest

from model.errors import ConfigError
from model.layers import BottleneckLayer, BoxHeadConfig, ConvLayer, PoolLayer, widths_behind


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: ConvLayer(8, 0), "at least 1", id="a kernel of nothing"),
        pytest.param(lambda: ConvLayer(8, 3, groups=3), "multiple of groups", id="groups that do not divide"),
        pytest.param(lambda: PoolLayer(2, 0), "at least 1", id="a pooling that stands still"),
        pytest.param(lambda: BottleneckLayer(8, kernel=2), "its kernel odd", id="an even kernel has no middle"),
        pytest.param(lambda: BoxHeadConfig(reduced=0), "at least 1", id="a head that sees nothing"),
    ],
)
def test_refusals(make: Callable[[], object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        make()


def test_widths_behind_layers() -> None:
    layers = (ConvLayer(8, 3), PoolLayer(2, 2), BottleneckLayer(12), ConvLayer(12, 3, groups=12))
    assert widths_behind(layers, 3) == [8, 8, 12, 12]


def test_an_input_that_does_not_divide_into_groups_is_refused() -> None:
    with pytest.raises(ConfigError, match="5 input channels do not divide"):
        widths_behind((ConvLayer(4, 1, groups=2),), 5)
