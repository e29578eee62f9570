"""Measuring candidates at start, with small networks and a fake clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from model.boxes import Box, iou
from model.checkpoints import Weights, bundled_weights, load_weights
from model.config import Preprocessing
from model.inference import probe
from model.inference.choice import REFERENCE, Candidate, decide
from model.inference.loading import choose, load_predictor
from model.inference.pending import Finished
from model.inference.predictor import Predictor
from model.inference.probe import FRAMES_A_TURN, TURNS, drift, measure, scene
from model.inference.single import SingleTracker
from model.inference.torch_cpu import TorchPredictor
from model.response import MapResponse
from tests.support.networks import TINY, random_network

WEIGHTS = Weights(random_network(TINY), Preprocessing(mean=114.0, std=58.0))
BF16, INT8 = Candidate("torch", "bf16"), Candidate("openvino", "int8")


class Clock:
    """Time that passes only when a predictor is asked: so many seconds an answer."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Timed(TorchPredictor):
    """The small network in fp32; it takes `seconds` an answer and is wrong by `noise`."""

    def __init__(self, clock: Clock, seconds: float, noise: float = 0.0, fails: bool = False) -> None:
        super().__init__(WEIGHTS, torch.device("cpu"), "fp32", torch.get_num_threads())
        self.clock, self.seconds, self.noise, self.fails = clock, seconds, noise, fails
        self.answers = 0

    def warm_up(self, batches: Sequence[int] = (1,)) -> None:
        """Costs nothing here."""

    def begin(self, bank: Any, indexes: Any, searches: Any) -> Any:
        if self.fails:
            raise RuntimeError("no kernel")
        self.clock.now += self.seconds
        self.answers += 1
        rng = np.random.default_rng(self.answers)
        found = super().begin(bank, indexes, searches).result()
        return Finished([MapResponse(self._noisy(each.maps, rng), (0.0,) * 3) for each in found])

    def _noisy(self, maps: Any, rng: np.random.Generator) -> Any:
        return (maps + self.noise * rng.normal(0, np.ptp(maps), maps.shape)).astype(np.float32)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def makers(clock: Clock, **options: dict[str, Any]) -> tuple[dict[Candidate, Timed], Callable[[Candidate], Predictor]]:
    """Predictors by precision, made when asked for."""
    made: dict[Candidate, Timed] = {}

    def make(candidate: Candidate) -> Predictor:
        made[candidate] = Timed(clock, **options[candidate.precision])
        return made[candidate]

    return made, make


def test_times_and_drift(clock: Clock) -> None:
    _, make = makers(clock, fp32={"seconds": 0.02}, bf16={"seconds": 0.01}, int8={"seconds": 0.005, "noise": 5.0})
    exact, close, far = measure((REFERENCE, BF16, INT8), make, clock)
    assert [each.candidate for each in (exact, close, far)] == [REFERENCE, BF16, INT8]
    assert [each.ms for each in (exact, close, far)] == pytest.approx([20, 10, 5])
    assert (exact.drift_px, close.drift_px) == (0.0, 0.0)
    assert far.drift_px > 2
    assert decide((exact, close, far)).candidate == BF16


def test_the_reference_is_run_even_where_it_is_no_candidate(clock: Clock) -> None:
    made, make = makers(clock, fp32={"seconds": 0.0}, int8={"seconds": 0.0})
    (only,) = measure((INT8,), make, clock)
    assert (only.candidate, only.drift_px) == (INT8, 0.0)
    assert made[REFERENCE].answers == made[INT8].answers == TURNS * FRAMES_A_TURN


def test_what_is_slow_has_one_turn(clock: Clock) -> None:
    made, make = makers(clock, fp32={"seconds": probe.BUDGET_S}, bf16={"seconds": 0.1})
    slow, fast = measure((REFERENCE, BF16), make, clock)
    assert (slow.ms, fast.ms) == (pytest.approx(1e3 * probe.BUDGET_S), pytest.approx(100))
    assert {each.answers for each in made.values()} == {FRAMES_A_TURN}


def test_one_that_fails_is_said_so_and_the_others_go_on(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    _, make = makers(clock, fp32={"seconds": 0.02}, int8={"seconds": 0.01, "fails": True})
    exact, failed = measure((REFERENCE, INT8), make, clock)
    assert (exact.ms, exact.drift_px) == (pytest.approx(20), 0.0)
    assert math.isinf(failed.drift_px)
    assert caplog.messages == ["openvino int8 does not run here"]


def test_one_that_cannot_be_made_is_said_so(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    _, make = makers(clock, fp32={"seconds": 0.02})
    _, failed = measure((REFERENCE, BF16), make, clock)
    assert str(failed) == "torch bf16 failed"
    assert caplog.messages == ["torch bf16 does not run here"]


def test_without_the_reference_nothing_is_measured(clock: Clock) -> None:
    _, make = makers(clock, fp32={"seconds": 0.02, "fails": True}, bf16={"seconds": 0.01})
    with pytest.raises(RuntimeError, match="no kernel"):
        measure((REFERENCE, BF16), make, clock)


def test_drift_by_hand() -> None:
    # Frame by frame the greatest difference: 3 (of x) and 1 (of h); their mean is 2.
    assert drift([[0, 0, 10, 10], [5, 5, 10, 11]], [[3, 1, 10, 10], [5, 5, 10, 10]]) == 2.0


def test_the_scene_is_always_the_same_and_its_target_in_sight() -> None:
    first, second = scene(), scene()
    assert len(first.frames) == TURNS * FRAMES_A_TURN + 1
    assert all(np.array_equal(a, b) for a, b in zip(first.frames, second.frames, strict=True))
    assert np.allclose(first.visible, 1)
    # It moves, by more than the drift that is allowed.
    assert np.abs(np.diff(first.truth[:, :2], axis=0)).max(axis=1).min() > 2


@pytest.mark.slow
def test_the_bundled_weights_follow_the_scene() -> None:
    # A scene on which the tracker is lost would say nothing about drift.
    tracker = SingleTracker(load_predictor(load_weights(bundled_weights()), device="cpu", precision="fp32"))
    sequence = scene()
    tracker.start(sequence.frames[0], Box(*sequence.truth[0].tolist()))
    boxes = [tracker.update(frame).box.as_list() for frame in sequence.frames[1:]]
    assert iou(np.array(boxes), sequence.truth[1:]).min() > 0.6


def test_left_open_a_network_runs_with_one_of_what_was_measured() -> None:
    choice = choose(WEIGHTS, torch.device("cpu"), "auto", "auto", torch.get_num_threads())
    measured = {each.candidate: each for each in choice.measured}
    chosen = measured[choice.candidate]
    assert REFERENCE in measured
    assert all(math.isfinite(each.drift_px) for each in measured.values())
    assert measured[REFERENCE].drift_px == 0
    assert chosen.ms <= measured[REFERENCE].ms
