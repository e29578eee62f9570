"""A predictor for weights: the device and runtime chosen, measured where that is left open, and built."""

from __future__ import annotations

import logging

import torch

from model.checkpoints import Weights
from model.inference import probe
from model.inference.choice import Candidate, Choice, candidates, decide
from model.inference.devices import choose_device
from model.inference.gpu.predictor import GpuPredictor
from model.inference.predictor import Predictor
from model.inference.remembered import Circumstances, RememberedChoices
from model.inference.torch_cpu import TorchPredictor

_log = logging.getLogger(__name__)


def load_predictor(
    weights: Weights,
    *,
    device: str = "auto",
    precision: str = "auto",
    runtime: str = "torch",
    threads: int = 0,
    batch_max: int = 1,
    on_device: bool | None = None,
    remembered: RememberedChoices | None = None,
) -> Predictor:
    """The network of the weights, ready to run.

    device: auto, cpu, cuda or cuda:N. runtime: torch, openvino, or auto, which takes the fastest of those that track as
    torch does in fp32; with more than one candidate that takes a few seconds of measuring. precision: auto, fp32, bf16,
    fp16 or int8. threads: CPU cores for the network; 0 is torch's number. batch_max: targets in one pass that it
    prepares for; larger passes are slower. on_device: whether the network's device also cuts crops and reads maps;
    None: on a GPU it does. remembered: where choices are kept that need not be measured again; None: nowhere. Raises
    ConfigError where the device has no such runtime or precision.
    """
    threads = threads or torch.get_num_threads()
    where = choose_device(device)
    chosen = choose(weights, where, precision, runtime, threads, remembered)
    try:
        predictor = build(weights, chosen.candidate, where, threads, batch_max, on_device)
    except Exception:
        if remembered is None or not chosen.measured:
            raise
        _log.warning("%s does not run now, and is measured anew", chosen.candidate, exc_info=True)
        chosen = choose(weights, where, precision, runtime, threads, remembered, anew=True)
        predictor = build(weights, chosen.candidate, where, threads, batch_max, on_device)
    if chosen.measured:
        _log.info("the network runs with %s; %s", chosen.candidate, ", ".join(map(str, chosen.measured)))
    return predictor


def choose(
    weights: Weights,
    device: torch.device,
    precision: str,
    runtime: str,
    threads: int,
    remembered: RememberedChoices | None = None,
    *,
    anew: bool = False,
) -> Choice:
    """The candidate for a device, measured where the names leave several open. Raises ConfigError as `candidates`.

    remembered: where an earlier measurement is looked for, unless `anew`, and this one is kept.
    """
    among = candidates(runtime, precision, device, weights.network.config)
    if len(among) == 1:
        return Choice(among[0])
    if not weights.sha256:
        # They come from no file, and have no name by which to remember them.
        remembered = None
    here = Circumstances.here(weights.sha256, among, threads)
    known = None if remembered is None or anew else remembered.recall(here, among)
    if known is not None:
        return known
    _log.info("measuring what runs the network best here: %s", ", ".join(map(str, among)))
    measured = probe.measure(among, lambda candidate: build(weights, candidate, device, threads))
    choice = Choice(decide(measured).candidate, measured)
    if remembered is not None:
        remembered.keep(here, choice)
    return choice


def build(
    weights: Weights,
    candidate: Candidate,
    device: torch.device,
    threads: int,
    batch_max: int = 1,
    on_device: bool | None = None,
) -> Predictor:
    """The predictor of a candidate; the arguments are those of `load_predictor`, all of them settled."""
    if candidate.runtime == "openvino":
        # Imported here because OpenVINO is an extra.
        from model.inference.openvino.predictor import OpenVinoPredictor

        assert candidate.precision != "fp16"
        return OpenVinoPredictor(weights, candidate.precision, threads, batch_max)
    assert candidate.precision != "int8"
    if device.type == "cuda" if on_device is None else on_device:
        return GpuPredictor(weights, device, candidate.precision, threads, batch_max)
    return TorchPredictor(weights, device, candidate.precision, threads)
