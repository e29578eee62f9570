"""The device that the network runs on, and torch's arithmetic there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from model.errors import ConfigError

TorchPrecision = Literal["fp32", "bf16", "fp16"]


def choose_device(name: str) -> torch.device:
    """The device for `auto`, `cpu`, `cuda` or `cuda:N`. Raises ConfigError where it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"no device {name!r}; say auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"no device {name!r}; say auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and not (torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()):
        raise ConfigError(f"device {name!r} is not available on this machine")
    return device


def choose_precision(name: str, device: torch.device) -> TorchPrecision:
    """torch's precision for `auto`, `fp32`, `bf16` or `fp16` on that device. Raises ConfigError where it cannot run.

    `auto` takes the fastest precision that keeps boxes within half a pixel of fp32: fp16 on a GPU, bf16 on a CPU that
    multiplies it in hardware, else fp32.
    """
    if name == "auto":
        if device.type == "cuda":
            return "fp16"
        return "bf16" if multiplies_bf16() else "fp32"
    if name == "fp32":
        return "fp32"
    if name == "bf16":
        return "bf16"
    if name == "fp16":
        if device.type == "cpu":
            raise ConfigError("precision fp16 needs a GPU; on a CPU say bf16 or fp32")
        return "fp16"
    if name == "int8":
        raise ConfigError("precision int8 needs the runtime openvino, on a CPU")
    raise ConfigError(f"no precision {name!r} for this runtime; say auto, fp32, bf16 or fp16")


def multiplies_bf16() -> bool:
    """Whether this CPU multiplies bf16 in hardware, and torch uses that."""
    capabilities = torch.backends.cpu.get_cpu_capability()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "AVX512" in capabilities and ("avx512_bf16" in lines or "amx_bf16" in lines)
