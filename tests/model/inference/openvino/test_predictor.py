"""The predictor by OpenVINO responds as torch does, whether the cores work together or by themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.checkpoints import Weights
from model.config import Preprocessing
from model.crops import Region
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from model.search import Search, crops_of
from tests.support.networks import TINY, random_network

pytest.importorskip("openvino", reason="the extra openvino is not installed")

from model.inference.openvino.predictor import CoresPending, OpenVinoPredictor, one_torch_thread

WEIGHTS = Weights(random_network(TINY), Preprocessing(mean=114.0, std=58.0))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return load_predictor(WEIGHTS, device="cpu", precision="fp32")


def _exemplars(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, 256, (count, 127, 127, 3), np.uint8)


def _searches(rng: np.random.Generator, count: int) -> list[Search]:
    regions = (Region(128, 128, 255),) * 3
    crops = rng.integers(0, 256, (count, 3, 255, 255, 3), np.uint8)
    return [Search(regions, (0.0,) * 3, 255, (0.0, 0.0, 0.0), crops=own) for own in crops]


@pytest.mark.parametrize("batch_max", [1, 8], ids=["all cores together", "a core each"])
def test_responses_are_those_of_torch(predictor: Predictor, rng: np.random.Generator, batch_max: int) -> None:
    compiled = OpenVinoPredictor(WEIGHTS, "fp32", threads=2, batch_max=batch_max)
    # More than it embeds at once, and not a multiple of that.
    exemplar_crops, searches = _exemplars(rng, 5), _searches(rng, 5)
    exemplars = compiled.embed(exemplar_crops)
    kept = exemplars.clone()
    responses = compiled.respond(exemplars, searches)
    expected = predictor.maps(predictor.embed(exemplar_crops), crops_of(searches))
    for response, maps in zip(responses, expected, strict=True):
        np.testing.assert_allclose(response.maps, maps, rtol=1e-3, atol=2e-3 * np.ptp(expected))
    np.testing.assert_allclose(
        compiled.maps(exemplars, crops_of(searches)), expected, rtol=1e-3, atol=2e-3 * np.ptp(expected)
    )
    # An embedding that was handed out is the caller's own, whatever was embedded since.
    assert torch.equal(exemplars, kept)


def test_a_pass_may_begin_while_the_cores_are_at_another(predictor: Predictor, rng: np.random.Generator) -> None:
    compiled = OpenVinoPredictor(WEIGHTS, "fp32", threads=2, batch_max=8)
    bank = compiled.embed(_exemplars(rng, 4))
    passes = [([3, 0, 2], _searches(rng, 3)), ([1, 1, 0], _searches(rng, 3))]
    under_way = [compiled.begin(bank, indexes, searches) for indexes, searches in passes]
    for pending, (indexes, searches) in zip(under_way, passes, strict=True):
        assert isinstance(pending, CoresPending)
        expected = predictor.maps(bank[indexes], crops_of(searches))
        for response, maps in zip(pending.result(), expected, strict=True):
            np.testing.assert_allclose(response.maps, maps, rtol=1e-3, atol=2e-3 * np.ptp(expected))


def test_warm_up_gives_each_core_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = OpenVinoPredictor(WEIGHTS, "fp32", threads=3, batch_max=8)
    shared: list[bool] = []
    begin = compiled.begin

    def noted(*arguments: object) -> object:
        pending = begin(*arguments)  # type: ignore[arg-type]
        shared.append(isinstance(pending, CoresPending))
        return pending

    monkeypatch.setattr(compiled, "begin", noted)
    compiled.warm_up()
    assert shared == [False, True]


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
