"""The predictor by torch: the network's own maps, in any batch, in any precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.checkpoints import Weights
from model.config import Preprocessing
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from model.inference.torch_cpu import TorchPredictor
from tests.support.networks import TINY, random_network

WEIGHTS = Weights(random_network(TINY), Preprocessing(mean=114.0, std=58.0))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return load_predictor(WEIGHTS, device="cpu", precision="fp32")


def _exemplars(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, 256, (count, 127, 127, 3), np.uint8)


def _searches(rng: np.random.Generator, count: int, scales: int = 3) -> np.ndarray:
    return rng.integers(0, 256, (count, scales, 255, 255, 3), np.uint8)


def test_shapes_and_types(predictor: Predictor, rng: np.random.Generator) -> None:
    exemplars = predictor.embed(_exemplars(rng, 2))
    assert exemplars.shape == (2, 8, 13, 13)
    assert exemplars.dtype == torch.float16
    maps = predictor.maps(exemplars, _searches(rng, 2))
    assert maps.shape == (2, 3, 17, 17)
    assert maps.dtype == np.float32


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_batch_equals_its_singles(rng: np.random.Generator, precision: str) -> None:
    predictor = load_predictor(WEIGHTS, device="cpu", precision=precision)
    exemplar_crops, search_crops = _exemplars(rng, 5), _searches(rng, 5)
    exemplars = predictor.embed(exemplar_crops)
    together = predictor.maps(exemplars, search_crops)
    for index in range(5):
        one = slice(index, index + 1)
        alone = predictor.maps(predictor.embed(exemplar_crops[one]), search_crops[one])
        np.testing.assert_allclose(together[one], alone, rtol=1e-3, atol=1e-3 * np.ptp(together))


def test_equals_the_unfolded_network(predictor: Predictor, rng: np.random.Generator) -> None:
    exemplar_crop, search_crop = _exemplars(rng, 1), _searches(rng, 1, scales=1)

    def tensor(crops: np.ndarray) -> torch.Tensor:
        return (torch.from_numpy(crops).permute(0, 3, 1, 2).float() - 114) / 58

    expected = WEIGHTS.network(tensor(exemplar_crop), tensor(search_crop[0])).numpy()
    maps = predictor.maps(predictor.embed(exemplar_crop), search_crop)
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=2e-3 * np.ptp(expected))


def test_half_precision_stays_close(predictor: Predictor, rng: np.random.Generator) -> None:
    half = load_predictor(WEIGHTS, device="cpu", precision="bf16")
    exemplar_crops, search_crops = _exemplars(rng, 2), _searches(rng, 2)
    exact = predictor.maps(predictor.embed(exemplar_crops), search_crops)
    close = half.maps(half.embed(exemplar_crops), search_crops)
    assert np.abs(close - exact).max() < 0.03 * np.ptp(exact)
    assert not np.array_equal(close, exact)


def test_predictors_of_different_precision_share_their_weights_unharmed(rng: np.random.Generator) -> None:
    crops = _exemplars(rng, 1)
    before = load_predictor(WEIGHTS, device="cpu", precision="fp32").embed(crops)
    load_predictor(WEIGHTS, device="cpu", precision="bf16").embed(crops)
    assert {parameter.dtype for parameter in WEIGHTS.network.parameters()} == {torch.float32}
    assert torch.equal(load_predictor(WEIGHTS, device="cpu", precision="fp32").embed(crops), before)


def test_bgr_weights_see_the_channels_reversed(rng: np.random.Generator) -> None:
    bgr = load_predictor(Weights(WEIGHTS.network, Preprocessing("bgr", 114.0, 58.0)), device="cpu", precision="fp32")
    rgb = load_predictor(WEIGHTS, device="cpu", precision="fp32")
    crops = _exemplars(rng, 1)
    torch.testing.assert_close(bgr.embed(crops), rgb.embed(np.ascontiguousarray(crops[..., ::-1])))


def test_an_embedding_beyond_half_precision_is_clamped(rng: np.random.Generator) -> None:
    huge = Weights(WEIGHTS.network, Preprocessing(mean=0.0, std=1e-6))
    embedding = load_predictor(huge, device="cpu", precision="fp32").embed(_exemplars(rng, 1))
    assert torch.isfinite(embedding).all()
    assert embedding.abs().max() == 65504


def test_crops_are_only_read(predictor: Predictor, rng: np.random.Generator) -> None:
    exemplar_crops, search_crops = _exemplars(rng, 1), _searches(rng, 1)
    before = exemplar_crops.copy(), search_crops.copy()
    predictor.maps(predictor.embed(exemplar_crops), search_crops)
    np.testing.assert_array_equal(exemplar_crops, before[0])
    np.testing.assert_array_equal(search_crops, before[1])


def test_warm_up_runs_every_batch_size(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    begin = TorchPredictor.begin
    monkeypatch.setattr(TorchPredictor, "begin", lambda self, b, i, s: sizes.append(len(s)) or begin(self, b, i, s))
    predictor.warm_up((1, 2))
    assert sizes == [1, 2]
