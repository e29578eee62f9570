from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.config import TrackerConfig
from model.score_map import Peak, choose_scale, cosine_window, find_peak, find_peak_plainly, upscale

PLAIN = TrackerConfig(scales=1, window_influence=0, upscale=16)
THREE = TrackerConfig(scales=3, window_influence=0, upscale=4)


def bump(x: float, y: float, height: float = 1.0, cells: int = 17, width: float = 1.6) -> np.ndarray:
    """A map whose peak lies (x, y) cells from the middle, float32 [cells, cells]."""
    line = np.arange(cells) - (cells - 1) / 2
    value = height * np.exp(-((line[None] - x) ** 2 + (line[:, None] - y) ** 2) / (2 * width**2))
    return value.astype(np.float32)


def test_upscaling_works_on_stacks(rng: np.random.Generator) -> None:
    maps = rng.normal(size=(3, 2, 5, 5)).astype(np.float32)
    upscaled = upscale(maps, 3)
    assert upscaled.shape == (3, 2, 13, 13)
    np.testing.assert_allclose(upscaled[1, 1], upscale(maps[1, 1], 3), atol=1e-6)
    np.testing.assert_allclose(upscaled[..., ::3, ::3], maps, atol=1e-5)


def test_window_has_sum_one_and_its_peak_in_the_middle() -> None:
    window = cosine_window(9)
    assert window.sum() == pytest.approx(1, abs=1e-5)
    assert np.unravel_index(window.argmax(), window.shape) == (4, 4)
    np.testing.assert_allclose(window, window.T)
    np.testing.assert_allclose(window, window[::-1, ::-1], atol=1e-8)
    # Hann: the edge of 9 + 2 points is sin²(pi / 10) of the middle.
    assert window[4, 0] / window[4, 4] == pytest.approx(np.sin(np.pi / 10) ** 2, rel=1e-4)


def test_the_cached_window_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        cosine_window(5)[0, 0] = 1


Find = Callable[[np.ndarray, TrackerConfig], Peak]
FORMS = pytest.mark.parametrize("find", [find_peak, find_peak_plainly])


@given(x=st.floats(-6, 6), y=st.floats(-6, 6))
def test_a_peak_between_cells_is_found(x: float, y: float) -> None:
    peak = find_peak(bump(x, y)[None], PLAIN)
    # Half a step of the upscaled map, and what the cubic is off by.
    assert peak.dx == pytest.approx(x, abs=1 / 32 + 0.07)
    assert peak.dy == pytest.approx(y, abs=1 / 32 + 0.07)


@FORMS
def test_a_peak_on_a_cell_is_exact_and_its_logit_is_the_cells(
    find: Callable[[np.ndarray, TrackerConfig], Peak],
) -> None:
    peak = find(bump(3, -2, height=5)[None], PLAIN)
    assert (peak.scale, peak.dx, peak.dy) == (0, 3.0, -2.0)
    assert peak.logit == pytest.approx(5, abs=1e-5)


def test_a_tie_leaves_the_scale_as_it_is() -> None:
    assert find_peak(np.stack([bump(1, 1)] * 3), TrackerConfig(scale_penalty=1.0)).scale == 1


@FORMS
def test_a_flat_map_stays_where_it_is(find: Find) -> None:
    peak = find(np.zeros((3, 17, 17), np.float32), TrackerConfig())
    assert (peak.scale, peak.dx, peak.dy, peak.logit, peak.contrast) == (1, 0, 0, 0, 0)


@pytest.mark.parametrize("offset", [0.0, -50.0, 50.0], ids=["positive", "all negative", "far above zero"])
@pytest.mark.parametrize(
    ("heights", "scale"),
    [
        pytest.param((10.2, 10, 9), 1, id="a little higher is not enough"),
        pytest.param((10.4, 10, 9), 0, id="clearly higher is"),
        pytest.param((9, 10, 10.4), 2, id="on the other side too"),
        pytest.param((10.4, 10, 10.5), 2, id="the higher of two"),
    ],
)
def test_the_penalty_means_the_same_for_logits_of_either_sign(
    heights: tuple[float, ...], scale: int, offset: float
) -> None:
    # 10 / 0.9745 = 10.26 above the common floor is what the outer scales must reach.
    maps = np.stack([bump(0, 0, height) for height in heights]) + np.float32(offset)
    assert find_peak(maps, THREE).scale == scale


BETWEEN = TrackerConfig(window_influence=0, scale_interpolation=True, scale_penalty=1.0)


@pytest.mark.parametrize(
    ("heights", "scale", "zoom"),
    [
        pytest.param((9, 10, 9), 1, 0.0, id="even sides: the size stays"),
        # The parabola through (-1, 8), (0, 10), (1, 9): -1.5 x² + 0.5 x + 10, highest at 1 / 6.
        pytest.param((8, 10, 9), 1, 1 / 6, id="leaning to the larger"),
        pytest.param((9, 10, 8), 1, -1 / 6, id="leaning to the smaller"),
        # (-1, 6), (0, 9), (1, 10): -x² + 2 x + 9, highest at 1.
        pytest.param((6, 9, 10), 2, 1.0, id="the outermost"),
        # (-1, 9), (0, 9.9), (1, 10.5): its top lies at 2.5.
        pytest.param((9, 9.9, 10.5), 2, 1.0, id="never beyond the outermost"),
        pytest.param((10, 9, 10.5), 2, 1.0, id="no arch: the highest"),
        pytest.param((10, 10, 10), 1, 0.0, id="all alike"),
        pytest.param((10,), 0, 0.0, id="one scale has no size to tell"),
        # About the highest of five: (0, 9), (1, 10), (2, 8): -1.5 x² + 2.5 x + 9, highest at 5 / 6.
        pytest.param((1, 5, 9, 10, 8), 3, 5 / 6, id="of five, about the highest"),
    ],
)
def test_the_size_lies_between_the_scales(heights: tuple[float, ...], scale: int, zoom: float) -> None:
    found, near = choose_scale(np.array(heights, np.float32), BETWEEN)
    assert (found, near) == (scale, pytest.approx(zoom, abs=1e-5))
    # Bumps of those heights over a common floor of 0.
    peak = find_peak(np.stack([bump(0, 0, height) for height in heights]), BETWEEN)
    assert (peak.scale, peak.zoom) == (scale, pytest.approx(zoom, abs=1e-3))
    assert choose_scale(np.array(heights, np.float32), THREE)[1] == scale - len(heights) // 2


def test_the_window_prefers_the_nearer_of_two_like_peaks() -> None:
    maps = (bump(6, 0, 1.02) + bump(-1, 0, 1.0))[None]
    assert find_peak(maps, PLAIN).dx == pytest.approx(6, abs=0.1)
    windowed = TrackerConfig(scales=1, window_influence=0.3)
    assert find_peak(maps, windowed).dx == pytest.approx(-1, abs=0.3)


def test_the_logit_is_free_of_window_and_penalty() -> None:
    maps = np.stack([bump(0, 0, 1), bump(0, 0, 2), bump(2, 1, 8)]) - np.float32(3)
    peak = find_peak(maps, TrackerConfig(window_influence=0.176, scale_penalty=0.5))
    assert peak.scale == 2
    assert peak.logit == pytest.approx(5, abs=0.1)


@FORMS
def test_contrast_by_hand(find: Find) -> None:
    # Outside the peak, stripes of 1 and -1: mean about 0, deviation about 1.
    stripes = np.where(np.arange(17)[:, None] % 2 == 0, 1.0, -1.0) * np.ones((17, 17))
    outside = np.ones((17, 17), bool)
    outside[6:11, 6:11] = False
    stripes[8, 8] = 9
    rest = stripes[outside]
    peak = find(stripes[None].astype(np.float32), TrackerConfig(scales=1, upscale=1, window_influence=0))
    assert peak.contrast == pytest.approx((9 - rest.mean()) / rest.std(), rel=1e-5)
    assert 8.5 < peak.contrast < 9.5


def test_contrast_of_a_map_too_small_for_an_outside_is_zero() -> None:
    assert find_peak(np.eye(3, dtype=np.float32)[None], TrackerConfig(scales=1, upscale=1)).contrast == 0


def test_find_peak_does_not_change_its_maps(rng: np.random.Generator) -> None:
    maps = rng.normal(size=(3, 17, 17)).astype(np.float32)
    before = maps.copy()
    find_peak(maps, TrackerConfig())
    np.testing.assert_array_equal(maps, before)


def zoom_by_polynomial(maps: np.ndarray, config: TrackerConfig, scale: int) -> float:
    """The top of a parabola through the penalised heights of the whole upscaled maps, or the scale itself."""
    raised = upscale(maps, config.upscale)
    raised -= raised.min()
    middle = len(maps) // 2
    penalties = [1.0 if index == middle else np.float32(config.scale_penalty) for index in range(len(maps))]
    heights = [float(each.max() * penalty) for each, penalty in zip(raised, penalties, strict=True)]
    assert heights[scale] == max(heights)
    if config.scale_interpolation and len(maps) >= 3:
        nearest = min(max(scale, 1), len(maps) - 2)
        a, b, _ = np.polyfit([-1, 0, 1], heights[nearest - 1 : nearest + 2], 2)
        if a < -1e-5 * heights[nearest] / 2:
            return nearest - middle + float(np.clip(-b / (2 * a), -1, 1))
    return float(scale - middle)


def blended_map(maps: np.ndarray, config: TrackerConfig, scale: int) -> np.ndarray:
    """The whole upscaled map of a scale with the window blended in."""
    upscaled = upscale(maps, config.upscale)
    raised = (upscaled - upscaled.min())[scale]
    total, size = float(raised.sum()), len(raised)
    flat = total <= 1e-5 * size**2 * np.abs(maps).max()
    blended: np.ndarray = raised * (0.0 if flat else (1 - config.window_influence) / total)
    return blended + config.window_influence * cosine_window(size)


def check_like_whole_maps(maps: np.ndarray, config: TrackerConfig) -> None:
    found, expected = find_peak(maps, config), find_peak_plainly(maps, config)
    # Where the parabola is all but flat, rounding moves its top.
    zoom = zoom_by_polynomial(maps, config, expected.scale)
    for each in (found.zoom, expected.zoom):
        assert each == pytest.approx(zoom, abs=0.02) or config.scale_penalty == 1
    if (found.scale, found.dx, found.dy) == (expected.scale, expected.dx, expected.dy):
        assert found.logit == pytest.approx(expected.logit, rel=1e-5, abs=1e-5 * float(np.abs(maps).max()))
        assert found.contrast == pytest.approx(expected.contrast, rel=1e-3, abs=1e-3)
        return
    # Elsewhere only where rounding alone tells the two apart.
    half = (maps.shape[-1] - 1) / 2
    row, column = (round((place + half) * config.upscale) for place in (found.dy, found.dx))
    assert found.scale == expected.scale
    blended = blended_map(maps, config, found.scale)
    assert blended[row, column] == pytest.approx(blended.max(), rel=2e-5)


CONFIGS = {
    "as released": TrackerConfig(),
    "no window": TrackerConfig(window_influence=0),
    "nothing but the window": TrackerConfig(window_influence=1),
    "no penalty": TrackerConfig(scale_penalty=1),
    "outer scales out": TrackerConfig(scale_penalty=0),
    "not upscaled": TrackerConfig(upscale=1),
    "upscaled by five": TrackerConfig(upscale=5),
    "size between scales": TrackerConfig(scale_interpolation=True),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@given(seed=st.integers(0, 2**32 - 1), cells=st.integers(1, 20), smooth=st.floats(0, 4), offset=st.floats(-100, 100))
def test_any_maps_have_the_peak_of_the_whole_maps(
    config: TrackerConfig, seed: int, cells: int, smooth: float, offset: float
) -> None:
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(config.scales, cells, cells))
    if smooth > 0.3:
        maps = np.stack([cv2.GaussianBlur(each, (0, 0), smooth) for each in maps])
    check_like_whole_maps((10 * maps + offset).astype(np.float32), config)


@given(maps=arrays(np.int8, st.tuples(st.sampled_from([1, 3, 5]), st.just(7), st.just(7)), elements=st.integers(-2, 2)))
def test_maps_full_of_ties_have_the_peak_of_the_whole_maps(maps: np.ndarray) -> None:
    check_like_whole_maps(maps.astype(np.float32), TrackerConfig(scales=len(maps)))


@pytest.mark.parametrize("value", [0.0, 5.3, -5.3, 1e4])
@pytest.mark.parametrize("cells", [1, 2, 17])
def test_a_constant_map_stays_where_it_is_whatever_its_value(value: float, cells: int) -> None:
    peak = find_peak(np.full((3, cells, cells), value, np.float32), TrackerConfig())
    assert (peak.scale, peak.dx, peak.dy, peak.contrast) == (1, 0, 0, 0)
    assert peak.logit == pytest.approx(value, rel=1e-6)


@given(x=st.floats(-9, 9), y=st.floats(-9, 9), width=st.floats(0.3, 4), background=st.sampled_from([0.0, -3.7]))
def test_a_bump_on_flat_ground_has_the_peak_of_the_whole_maps(
    x: float, y: float, width: float, background: float
) -> None:
    maps = np.stack([bump(x, y, height, width=width) for height in (8, 9, 9.2)]) + np.float32(background)
    check_like_whole_maps(maps, TrackerConfig())
