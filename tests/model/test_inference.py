from __future__ import annotations

import numpy as np
import pytest
import torch

from model.checkpoints import Weights
from model.config import Preprocessing
from model.errors import ConfigError
from model.inference import Predictor, choose_device, choose_precision
from tests.support.networks import TINY, random_network

WEIGHTS = Weights(random_network(TINY), Preprocessing(mean=114.0, std=58.0))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(WEIGHTS, device="cpu", precision="fp32")


def _exemplars(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, 256, (count, 127, 127, 3), np.uint8)


def _searches(rng: np.random.Generator, count: int, scales: int = 3) -> np.ndarray:
    return rng.integers(0, 256, (count, scales, 255, 255, 3), np.uint8)


def test_shapes_and_types(predictor: Predictor, rng: np.random.Generator) -> None:
    exemplars = predictor.embed(_exemplars(rng, 2))
    assert exemplars.shape == (2, 8, 13, 13)
    assert exemplars.dtype == torch.float16
    maps = predictor.respond(exemplars, _searches(rng, 2))
    assert maps.shape == (2, 3, 17, 17)
    assert maps.dtype == np.float32


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_batch_equals_its_singles(rng: np.random.Generator, precision: str) -> None:
    predictor = Predictor(WEIGHTS, device="cpu", precision=precision)
    exemplar_crops, search_crops = _exemplars(rng, 5), _searches(rng, 5)
    exemplars = predictor.embed(exemplar_crops)
    together = predictor.respond(exemplars, search_crops)
    for index in range(5):
        one = slice(index, index + 1)
        alone = predictor.respond(predictor.embed(exemplar_crops[one]), search_crops[one])
        np.testing.assert_allclose(together[one], alone, rtol=1e-3, atol=1e-3 * np.ptp(together))


def test_equals_the_unfolded_network(predictor: Predictor, rng: np.random.Generator) -> None:
    exemplar_crop, search_crop = _exemplars(rng, 1), _searches(rng, 1, scales=1)

    def tensor(crops: np.ndarray) -> torch.Tensor:
        return (torch.from_numpy(crops).permute(0, 3, 1, 2).float() - 114) / 58

    expected = WEIGHTS.network(tensor(exemplar_crop), tensor(search_crop[0])).numpy()
    maps = predictor.respond(predictor.embed(exemplar_crop), search_crop)
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=2e-3 * np.ptp(expected))


def test_half_precision_stays_close(predictor: Predictor, rng: np.random.Generator) -> None:
    half = Predictor(WEIGHTS, device="cpu", precision="bf16")
    exemplar_crops, search_crops = _exemplars(rng, 2), _searches(rng, 2)
    exact = predictor.respond(predictor.embed(exemplar_crops), search_crops)
    close = half.respond(half.embed(exemplar_crops), search_crops)
    assert np.abs(close - exact).max() < 0.03 * np.ptp(exact)
    assert not np.array_equal(close, exact)


def test_predictors_of_different_precision_share_their_weights_unharmed(rng: np.random.Generator) -> None:
    crops = _exemplars(rng, 1)
    before = Predictor(WEIGHTS, device="cpu", precision="fp32").embed(crops)
    Predictor(WEIGHTS, device="cpu", precision="bf16").embed(crops)
    assert {parameter.dtype for parameter in WEIGHTS.network.parameters()} == {torch.float32}
    assert torch.equal(Predictor(WEIGHTS, device="cpu", precision="fp32").embed(crops), before)


def test_bgr_weights_see_the_channels_reversed(rng: np.random.Generator) -> None:
    bgr = Predictor(Weights(WEIGHTS.network, Preprocessing("bgr", 114.0, 58.0)), device="cpu", precision="fp32")
    rgb = Predictor(WEIGHTS, device="cpu", precision="fp32")
    crops = _exemplars(rng, 1)
    torch.testing.assert_close(bgr.embed(crops), rgb.embed(np.ascontiguousarray(crops[..., ::-1])))


def test_an_embedding_beyond_half_precision_is_clamped(rng: np.random.Generator) -> None:
    huge = Weights(WEIGHTS.network, Preprocessing(mean=0.0, std=1e-6))
    embedding = Predictor(huge, device="cpu", precision="fp32").embed(_exemplars(rng, 1))
    assert torch.isfinite(embedding).all()
    assert embedding.abs().max() == 65504


def test_crops_are_only_read(predictor: Predictor, rng: np.random.Generator) -> None:
    exemplar_crops, search_crops = _exemplars(rng, 1), _searches(rng, 1)
    before = exemplar_crops.copy(), search_crops.copy()
    predictor.respond(predictor.embed(exemplar_crops), search_crops)
    np.testing.assert_array_equal(exemplar_crops, before[0])
    np.testing.assert_array_equal(search_crops, before[1])


def test_warm_up_runs_every_batch_size(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    respond = Predictor.respond
    monkeypatch.setattr(Predictor, "respond", lambda self, e, c: sizes.append(len(c)) or respond(self, e, c))
    predictor.warm_up((1, 2))
    assert sizes == [1, 2]


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"{name}' is not available"):
        choose_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "mps", "meta", "cuda:x", "cpu;"])
def test_a_device_that_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="say auto, cpu, cuda or cuda:N"):
        choose_device(name)


def test_auto_takes_the_gpu_when_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "device", "expected"),
    [
        ("fp32", "cpu", "fp32"),
        ("bf16", "cpu", "bf16"),
        ("auto", "cuda", "fp16"),
        ("fp16", "cuda", "fp16"),
        ("bf16", "cuda", "bf16"),
    ],
)
def test_precisions(name: str, device: str, expected: str) -> None:
    assert choose_precision(name, torch.device(device)) == expected


def test_auto_on_a_cpu_is_one_that_runs_there() -> None:
    assert choose_precision("auto", torch.device("cpu")) in ("fp32", "bf16")


@pytest.mark.parametrize(
    ("name", "reason"), [("fp16", "needs a GPU"), ("int4", "no precision 'int4'"), ("", "say auto")]
)
def test_precision_refusals(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        choose_precision(name, torch.device("cpu"))
