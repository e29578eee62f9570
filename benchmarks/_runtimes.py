"""The bundled weights, and every runtime and precision that this machine has for them."""

from __future__ import annotations

from model.checkpoints import Weights, bundled_names, bundled_weights, load_weights
from model.config import NetworkConfig
from model.inference.choice import Candidate, candidates
from model.inference.devices import choose_device
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor


def weights_at_hand() -> dict[str, Weights]:
    """The bundled weights by preset."""
    return {name: load_weights(bundled_weights(name)) for name in bundled_names()}


def ways(network: NetworkConfig) -> tuple[Candidate, ...]:
    """Every runtime with every precision that the fastest device here multiplies."""
    device = choose_device("auto")
    if device.type == "cpu":
        return candidates("auto", "auto", device, network)
    return Candidate("torch", "fp32"), Candidate("torch", "bf16"), Candidate("torch", "fp16")


def predictor(weights: Weights, way: Candidate) -> Predictor:
    """The network, run that way."""
    return load_predictor(weights, runtime=way.runtime, precision=way.precision)
