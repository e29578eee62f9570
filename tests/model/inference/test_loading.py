"""Loading chooses the runtime's predictor, and measures only where the choice is open."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoints import Weights
from model.config import Preprocessing
from model.inference import loading, probe
from model.inference.choice import REFERENCE, Candidate, Choice, Measured
from model.inference.gpu.predictor import GpuPredictor
from model.inference.loading import choose, load_predictor
from model.inference.remembered import RememberedChoices
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


def test_measuring_and_the_choice_are_logged_in_a_line_each(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    measured = (Measured(REFERENCE, 20.0, 0.0), Measured(Candidate("torch", "bf16"), 10.0, 0.125))
    monkeypatch.setattr(loading, "candidates", lambda *_: tuple(each.candidate for each in measured))
    monkeypatch.setattr(probe, "measure", lambda *_: measured)
    with caplog.at_level(logging.INFO, "model"):
        load_predictor(WEIGHTS, device="cpu", runtime="auto")
    measuring, line = caplog.messages
    assert measuring == "measuring what runs the network best here: torch fp32, torch bf16"
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


class _Measurements:
    """Counts measurements in place of `probe.measure`; bf16 wins."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, among: Sequence[Candidate], _: object) -> tuple[Measured, ...]:
        self.count += 1
        return tuple(Measured(each, 10.0 if each.precision == "bf16" else 20.0, 0.1) for each in among)


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> _Measurements:
    monkeypatch.setattr(loading, "candidates", lambda *_: (REFERENCE, Candidate("torch", "bf16")))
    made = _Measurements()
    monkeypatch.setattr(probe, "measure", made)
    return made


def test_a_remembered_choice_is_not_measured_again(measurements: _Measurements, tmp_path: Path) -> None:
    named = replace(WEIGHTS, sha256="ab12")
    for _ in range(2):
        running = load_predictor(named, device="cpu", runtime="auto", remembered=RememberedChoices(tmp_path))
        assert (running.runtime, running.precision) == ("torch", "bf16")
    assert measurements.count == 1
    load_predictor(
        replace(WEIGHTS, sha256="cd34"), device="cpu", runtime="auto", remembered=RememberedChoices(tmp_path)
    )
    load_predictor(named, device="cpu", runtime="auto")
    assert measurements.count == 3


def test_weights_without_a_digest_are_not_remembered(measurements: _Measurements, tmp_path: Path) -> None:
    for _ in range(2):
        load_predictor(WEIGHTS, device="cpu", runtime="auto", remembered=RememberedChoices(tmp_path))
    assert measurements.count == 2
    assert list(tmp_path.iterdir()) == []


def test_a_remembered_choice_that_does_not_run_is_measured_anew(
    measurements: _Measurements, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, build, broken = replace(WEIGHTS, sha256="ab12"), loading.build, [True]
    load_predictor(named, device="cpu", runtime="auto", remembered=RememberedChoices(tmp_path))

    def breaks_once(*arguments: Any) -> Any:
        if broken:
            broken.clear()
            raise RuntimeError("it is gone")
        return build(*arguments)

    monkeypatch.setattr(loading, "build", breaks_once)
    running = load_predictor(named, device="cpu", runtime="auto", remembered=RememberedChoices(tmp_path))
    assert (running.precision, measurements.count) == ("bf16", 2)


def test_what_does_not_run_and_was_not_remembered_fails(
    measurements: _Measurements, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("it is gone")

    monkeypatch.setattr(loading, "build", broken)
    with pytest.raises(RuntimeError, match="gone"):
        load_predictor(WEIGHTS, device="cpu", runtime="auto")
    assert measurements.count == 1
