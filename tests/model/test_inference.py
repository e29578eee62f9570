from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch

from model import inference
from model.checkpoints import Weights
from model.config import Preprocessing
from model.inference import Predictor, one_torch_thread
from model.runtimes import probe
from model.runtimes.choice import REFERENCE, Candidate, Measured
from model.runtimes.cores import Shared
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


@pytest.fixture
def never_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks for the choice at start fails."""

    def measure(*_: object) -> None:
        raise AssertionError("it was measured")

    monkeypatch.setattr(probe, "measure", measure)


@pytest.mark.usefixtures("never_measured")
def test_named_it_is_not_measured() -> None:
    named = Predictor(WEIGHTS, device="cpu", runtime="torch", precision="bf16")
    assert (named.runtime, named.precision, named.measured) == ("torch", "bf16", ())
    assert Predictor(WEIGHTS, device="cpu").runtime == "torch"


@pytest.mark.usefixtures("never_measured")
@pytest.mark.parametrize("batch_max", [1, 8], ids=["all cores together", "a core each"])
def test_openvino_answers_as_torch_does(predictor: Predictor, rng: np.random.Generator, batch_max: int) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    compiled = Predictor(WEIGHTS, device="cpu", runtime="openvino", precision="fp32", threads=2, batch_max=batch_max)
    # More than it embeds at once, and not a multiple of that.
    exemplar_crops, search_crops = _exemplars(rng, 5), _searches(rng, 5)
    exemplars = compiled.embed(exemplar_crops)
    kept = exemplars.clone()
    maps = compiled.respond(exemplars, search_crops)
    expected = predictor.respond(predictor.embed(exemplar_crops), search_crops)
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=2e-3 * np.ptp(expected))
    # What was handed out is the caller's own, whatever was embedded since.
    assert torch.equal(exemplars, kept)


@pytest.mark.usefixtures("never_measured")
def test_a_pass_may_be_begun_while_the_cores_are_at_another(predictor: Predictor, rng: np.random.Generator) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    compiled = Predictor(WEIGHTS, device="cpu", runtime="openvino", precision="fp32", threads=2, batch_max=8)
    bank = compiled.embed(_exemplars(rng, 4))
    places, crops = ([3, 0, 2], [1, 1, 0]), (_searches(rng, 3), _searches(rng, 3))
    under_way = [compiled.begin(bank, *each) for each in zip(places, crops, strict=True)]
    for found, indexes, own in zip(under_way, places, crops, strict=True):
        assert isinstance(found, Shared)
        expected = predictor.respond(bank[indexes], own)
        np.testing.assert_allclose(found.result(), expected, rtol=1e-3, atol=2e-3 * np.ptp(expected))


@pytest.mark.usefixtures("never_measured")
def test_warm_up_gives_each_core_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    compiled = Predictor(WEIGHTS, device="cpu", runtime="openvino", precision="fp32", threads=3, batch_max=8)
    shared: list[bool] = []
    begin = Predictor.begin

    def noted(self: Predictor, *arguments: Any) -> Any:
        found = begin(self, *arguments)
        shared.append(isinstance(found, Shared))
        return found

    monkeypatch.setattr(Predictor, "begin", noted)
    compiled.warm_up()
    assert shared == [False, True]


def test_left_open_the_fastest_that_was_measured_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    bf16 = Candidate("torch", "bf16")
    among = (REFERENCE, bf16)
    monkeypatch.setattr(inference, "candidates", lambda *_: among)
    times = {REFERENCE: 20.0, bf16: 10.0}
    monkeypatch.setattr(probe, "measure", lambda given, make: tuple(Measured(each, times[each], 0.1) for each in given))
    chosen = Predictor(WEIGHTS, device="cpu", runtime="auto")
    assert (chosen.runtime, chosen.precision) == ("torch", "bf16")
    assert [each.ms for each in chosen.measured] == [20.0, 10.0]


def test_the_choice_is_logged_in_one_line(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    measured = (Measured(REFERENCE, 20.0, 0.0), Measured(Candidate("torch", "bf16"), 10.0, 0.125))
    monkeypatch.setattr(inference, "candidates", lambda *_: tuple(each.candidate for each in measured))
    monkeypatch.setattr(probe, "measure", lambda *_: measured)
    with caplog.at_level(logging.INFO, "model"):
        Predictor(WEIGHTS, device="cpu", runtime="auto")
    (line,) = caplog.messages
    assert line == "the network runs with torch bf16; torch fp32 20.0 ms (0.00 px), torch bf16 10.0 ms (0.12 px)"


def test_torch_has_its_threads_back_even_after_a_failure() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen = []

        def fail() -> None:
            with one_torch_thread():
                seen.append(torch.get_num_threads())
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


def test_threads_that_are_named_are_torchs_too() -> None:
    before = torch.get_num_threads()
    try:
        Predictor(WEIGHTS, device="cpu", precision="fp32", threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
