"""The runtimes and precisions that can run the network here, and the choice between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import torch

from model.config import NetworkConfig
from model.errors import ConfigError
from model.inference.devices import choose_precision
from model.inference.openvino.quantisation import quantisable
from model.inference.predictor import Precision, Runtime

RUNTIMES = ("auto", "torch", "openvino")
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")
MAX_DRIFT_PX = 0.5
"""Greatest mean distance, in pixels, from the boxes of torch in fp32 at which a candidate may be chosen."""

_INSTALL = "needs the extra openvino: pip install 'siamfc-service[openvino]'"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A runtime with a precision."""

    runtime: Runtime
    precision: Precision

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision}"


REFERENCE = Candidate("torch", "fp32")
"""The candidate that the others' boxes are compared with."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A candidate's milliseconds a frame, and its boxes' mean distance from the reference's, in pixels.

    A candidate that failed has an infinite drift.
    """

    candidate: Candidate
    ms: float
    drift_px: float

    def __str__(self) -> str:
        if math.isinf(self.drift_px):
            return f"{self.candidate} failed"
        return f"{self.candidate} {self.ms:.1f} ms ({self.drift_px:.2f} px)"


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidate that is taken, and the measurements that it was taken by; none where there was no choice."""

    candidate: Candidate
    measured: tuple[Measured, ...] = ()


def decide(measured: Sequence[Measured], max_drift_px: float = MAX_DRIFT_PX) -> Measured:
    """The fastest candidate within the allowed drift; if there is none, the one that drifts least.

    Raises ConfigError where all failed.
    """
    working = [each for each in measured if math.isfinite(each.drift_px)]
    if not working:
        raise ConfigError(f"nothing here runs the network: {', '.join(map(str, measured))}")
    faithful = [each for each in working if each.drift_px <= max_drift_px]
    return min(faithful, key=lambda each: each.ms) if faithful else min(working, key=lambda each: each.drift_px)


def candidates(runtime: str, precision: str, device: torch.device, network: NetworkConfig) -> tuple[Candidate, ...]:
    """The candidates that the names allow: `auto`, or one of `RUNTIMES` and one of `PRECISIONS`.

    There is one, by `choose_precision`, for the runtime torch and on a GPU. Raises ConfigError, with the reason, if
    there is none.
    """
    if runtime not in RUNTIMES:
        raise ConfigError(f"no runtime {runtime!r}; say {_listed(RUNTIMES)}")
    if precision not in PRECISIONS:
        raise ConfigError(f"no precision {precision!r}; say {_listed(PRECISIONS)}")
    if device.type != "cpu" and runtime == "openvino":
        raise ConfigError(f"runtime openvino runs on a CPU, not on {device}; say runtime torch, or device cpu")
    if runtime == "torch" or device.type != "cpu":
        return (Candidate("torch", choose_precision(precision, device)),)
    if precision == "fp16":
        raise ConfigError("precision fp16 needs a GPU; on a CPU say fp32, bf16 or int8")
    installed = find_spec("openvino") is not None
    if not installed and (runtime == "openvino" or precision == "int8"):
        raise ConfigError(f"{'runtime openvino' if runtime == 'openvino' else 'precision int8'} {_INSTALL}")
    eager = _eager(precision, device) if runtime == "auto" else ()
    return (*eager, *(_openvino(precision, network, needed=not eager) if installed else ()))


def _eager(precision: str, device: torch.device) -> tuple[Candidate, ...]:
    if precision == "int8":
        return ()
    if precision != "auto":
        return (Candidate("torch", choose_precision(precision, device)),)
    return tuple(dict.fromkeys((REFERENCE, Candidate("torch", choose_precision("auto", device)))))


def _openvino(precision: str, network: NetworkConfig, *, needed: bool) -> tuple[Candidate, ...]:
    # Imported here because it is an extra, and takes a moment to load.
    from model.inference.openvino.compiled import arithmetics

    able = arithmetics()
    found = [each for each in able if precision in ("auto", each)]
    if "int8" in found and not quantisable(network):
        found.remove("int8")
        if needed and not found:
            raise ConfigError(f"the network {network.name} cannot run in int8; say auto, fp32 or bf16")
    if needed and not found:
        raise ConfigError(f"this CPU does not multiply {precision} with OpenVINO; say {_listed(('auto', *able))}")
    return tuple(Candidate("openvino", each) for each in found)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
