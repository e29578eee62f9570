from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from model.correlation import (
    correlate,
    correlate_by_loop,
    correlate_by_products,
    correlate_scales,
    match_corr,
    window_sums,
    window_sums_by_loop,
)

EXEMPLAR = torch.tensor([[[[1.0, 2], [3, 4]]]])
SEARCH = torch.tensor([[[[1.0, 0, 2], [0, 1, 0], [3, 0, 1]]]])
# 1*1 + 4*1, 2*2 + 3*1, 2*1 + 3*3, 1*1 + 4*1
MAP = torch.tensor([[[[5.0, 7], [11, 5]]]])


@pytest.mark.parametrize("form", [correlate, correlate_by_loop])
def test_by_hand(form) -> None:  # type: ignore[no-untyped-def]
    torch.testing.assert_close(form(EXEMPLAR, SEARCH), MAP)


def test_each_exemplar_meets_its_own_search_region_alone() -> None:
    exemplars = torch.cat([EXEMPLAR, -2 * EXEMPLAR])
    torch.testing.assert_close(correlate(exemplars, torch.cat([SEARCH, SEARCH])), torch.cat([MAP, -2 * MAP]))


@given(st.data())
@settings(max_examples=40)
def test_the_grouped_form_equals_the_loop(data: st.DataObject) -> None:
    b, c, h, w = (data.draw(st.integers(1, top)) for top in (4, 5, 4, 4))
    rows, columns = data.draw(st.integers(h, h + 4)), data.draw(st.integers(w, w + 4))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    exemplars = torch.randn(b, c, h, w, generator=generator, dtype=torch.float64)
    searches = torch.randn(b, c, rows, columns, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(correlate(exemplars, searches), correlate_by_loop(exemplars, searches))


@pytest.mark.parametrize("form", [correlate_scales, correlate_by_products])
@given(
    b=st.integers(1, 3),
    n=st.integers(1, 4),
    c=st.integers(1, 4),
    rows=st.integers(0, 4),
    columns=st.integers(0, 4),
)
@settings(max_examples=40)
def test_scales_equal_the_repeated_exemplar(  # type: ignore[no-untyped-def]
    form, b: int, n: int, c: int, rows: int, columns: int
) -> None:
    exemplars = torch.randn(b, c, 3, 2, dtype=torch.float64)
    searches = torch.randn(b, n, c, 3 + rows, 2 + columns, dtype=torch.float64)
    together = form(exemplars, searches)
    assert together.shape == (b, n, rows + 1, columns + 1)
    for scale in range(n):
        torch.testing.assert_close(together[:, scale], correlate(exemplars, searches[:, scale])[:, 0])


@given(
    n=st.integers(1, 3), h=st.integers(1, 4), w=st.integers(1, 4), more=st.tuples(st.integers(0, 4), st.integers(0, 4))
)
def test_window_sums_equal_the_loop(n: int, h: int, w: int, more: tuple[int, int]) -> None:
    products = np.random.default_rng(n).normal(size=(n, h, w, h + more[0], w + more[1]))
    before = products.copy()
    np.testing.assert_allclose(window_sums(products), window_sums_by_loop(products), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(products, before)


def test_window_sums_by_hand() -> None:
    # An exemplar of 1 x 2 cells: map cell x is product 0 at x and product 1 at x + 1.
    products = np.array([[1.0, 2, 3], [10, 20, 30]]).reshape(1, 1, 2, 1, 3)
    for form in (window_sums, window_sums_by_loop):
        np.testing.assert_array_equal(form(products), [[[21, 32]]])


def test_channels_last_searches_are_taken_too() -> None:
    exemplars, searches = torch.randn(3, 4, 2, 2), torch.randn(3, 4, 5, 5)
    folded = searches.to(memory_format=torch.channels_last)
    torch.testing.assert_close(correlate(exemplars, folded), correlate(exemplars, searches))
    by_products = correlate_by_products(exemplars, folded[:, None])
    torch.testing.assert_close(by_products, correlate(exemplars, searches))


@pytest.mark.parametrize(
    ("exemplars", "searches"),
    [
        pytest.param((2, 4, 3, 3), (3, 4, 5, 5), id="batch"),
        pytest.param((2, 4, 3, 3), (2, 8, 5, 5), id="channels"),
    ],
)
def test_what_does_not_pair_up_is_refused(exemplars: tuple[int, ...], searches: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not pair up"):
        correlate(torch.zeros(exemplars), torch.zeros(searches))


def _match_norm() -> nn.BatchNorm2d:
    """(x - 3) / sqrt(4) * 2 + 1 = x - 2."""
    norm = nn.BatchNorm2d(1, eps=0).eval()
    for tensor, value in ((norm.weight, 2.0), (norm.bias, 1.0), (norm.running_mean, 3.0), (norm.running_var, 4.0)):
        assert tensor is not None
        tensor.data.fill_(value)
    return norm


def test_match_corr_normalises() -> None:
    torch.testing.assert_close(match_corr(EXEMPLAR, SEARCH, _match_norm()), MAP - 2)


def test_match_corr_upscales_bilinearly_with_half_pixel_centres() -> None:
    # From 2 to (2 - 1) * 4 + 1 = 5 values: value i reads cell (i + 1/2) * 2/5 - 1/2, held within 0..1.
    shares = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0])
    upper, lower = 3 + 2 * shares, 9 - 6 * shares  # between 3 and 5, between 9 and 3
    expected = upper * (1 - shares[:, None]) + lower * shares[:, None]
    result = match_corr(EXEMPLAR, SEARCH, _match_norm(), upscaled_size=5)
    torch.testing.assert_close(result, expected[None, None])
    assert result[0, 0, 2, 2].item() == pytest.approx(5)  # the mean of 3, 5, 9 and 3


def test_in_training_the_match_norm_sees_the_whole_batch() -> None:
    norm = nn.BatchNorm2d(1)
    maps = match_corr(torch.randn(8, 2, 3, 3), torch.randn(8, 2, 6, 6), norm)
    assert maps.mean().item() == pytest.approx(0, abs=1e-5)
    assert maps.var(unbiased=False).item() == pytest.approx(1, abs=1e-3)
