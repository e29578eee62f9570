"""Loading chooses the runtime's predictor, and measures only where the choice is open."""

from __future__ import annotations

import logging

import pytest
import torch

from model.checkpoints import Weights
from model.config import Preprocessing
from model.inference import loading, probe
from model.inference.choice import REFERENCE, Candidate, Measured
from model.inference.gpu.predictor import GpuPredictor
from model.inference.loading import Choice, choose, load_predictor
from model.inference.torch_cpu import TorchPredictor
from model.search import cut_crops, cut_windows
from tests.support.networks import TINY, random_network

WEIGHTS = Weights(random_network(TINY), Preprocessing(mean=114.0, std=58.0))


@pytest.fixture
def never_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring at start fails the test."""

    def measure(*_: object) -> None:
        raise AssertionError("it was measured")

    monkeypatch.setattr(probe, "measure", measure)


@pytest.mark.usefixtures("never_measured")
def test_named_it_is_not_measured() -> None:
    named = load_predictor(WEIGHTS, device="cpu", runtime="torch", precision="bf16")
    assert (named.runtime, named.precision) == ("torch", "bf16")
    assert choose(WEIGHTS, torch.device("cpu"), "bf16", "torch", 1) == Choice(Candidate("torch", "bf16"))
    assert load_predictor(WEIGHTS, device="cpu").runtime == "torch"


def test_left_open_the_fastest_that_was_measured_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    bf16 = Candidate("torch", "bf16")
    among = (REFERENCE, bf16)
    monkeypatch.setattr(loading, "candidates", lambda *_: among)
    times = {REFERENCE: 20.0, bf16: 10.0}
    monkeypatch.setattr(probe, "measure", lambda given, make: tuple(Measured(each, times[each], 0.1) for each in given))
    chosen = choose(WEIGHTS, torch.device("cpu"), "auto", "auto", 1)
    assert chosen.candidate == bf16
    assert [each.ms for each in chosen.measured] == [20.0, 10.0]
    running = load_predictor(WEIGHTS, device="cpu", runtime="auto")
    assert (running.runtime, running.precision) == ("torch", "bf16")


def test_the_choice_is_logged_in_one_line(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    measured = (Measured(REFERENCE, 20.0, 0.0), Measured(Candidate("torch", "bf16"), 10.0, 0.125))
    monkeypatch.setattr(loading, "candidates", lambda *_: tuple(each.candidate for each in measured))
    monkeypatch.setattr(probe, "measure", lambda *_: measured)
    with caplog.at_level(logging.INFO, "model"):
        load_predictor(WEIGHTS, device="cpu", runtime="auto")
    (line,) = caplog.messages
    assert line == "the network runs with torch bf16; torch fp32 20.0 ms (0.00 px), torch bf16 10.0 ms (0.12 px)"


def test_threads_that_are_named_are_torchs_too() -> None:
    before = torch.get_num_threads()
    try:
        load_predictor(WEIGHTS, device="cpu", precision="fp32", threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_each_runtime_has_its_predictor_and_its_cutter() -> None:
    here = load_predictor(WEIGHTS, device="cpu", precision="fp32")
    there = load_predictor(WEIGHTS, device="cpu", precision="fp32", on_device=True)
    assert isinstance(here, TorchPredictor)
    assert here.cutter is cut_crops
    assert isinstance(there, GpuPredictor)
    assert there.cutter is cut_windows
