"""The network made ready to run: device, precision, threads, warm-up.

Shape legend: B targets, N scales, C channels, e x e cells of an exemplar's embedding, S x S cells of a map.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.checkpoints import Weights
from model.correlation import correlate_scales
from model.errors import ConfigError
from model.network import fold_norms

Precision = Literal["fp32", "bf16", "fp16"]
Pixels = NDArray[np.uint8]


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


def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision for `auto`, `fp32`, `bf16` or `fp16` on that device. Raises ConfigError where it cannot run.

    `auto` takes the fastest that keeps boxes within half a pixel of fp32: fp16 on a GPU, bf16 on a CPU that
    multiplies it in hardware, else fp32.
    """
    if name == "auto":
        if device.type == "cuda":
            return "fp16"
        return "bf16" if _cpu_has_bf16() else "fp32"
    if name == "fp32":
        return "fp32"
    if name == "bf16":
        return "bf16"
    if name == "fp16":
        if device.type == "cpu":
            raise ConfigError("precision fp16 needs a GPU; on a CPU say bf16 or fp32")
        return "fp16"
    raise ConfigError(f"no precision {name!r} for this runtime; say auto, fp32, bf16 or fp16")


def _cpu_has_bf16() -> bool:
    capabilities = torch.backends.cpu.get_cpu_capability()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "AVX512" in capabilities and ("avx512_bf16" in lines or "amx_bf16" in lines)


_DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Predictor:
    """The folded network on its device. Stateless between calls; use it from one thread at a time.

    Embeddings are handed out and taken back as fp16 [B, C, e, e] on the device; correlation and everything after it
    is fp32.
    """

    def __init__(self, weights: Weights, *, device: str = "auto", precision: str = "auto") -> None:
        """Raises ConfigError where the device or the precision cannot be had."""
        self.weights = weights
        self.network_config = weights.network.config
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self._dtype = _DTYPES[self.precision]
        network = fold_norms(weights.network)
        self._match = network.match_norm.to(self.device)
        embedding = network.embedding.to(device=self.device, dtype=self._dtype)
        self._embedding = embedding.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def embed(self, crops: Pixels) -> Tensor:
        """Exemplar embeddings, fp16 [B, C, e, e] on the device, of crops uint8 [B, 127, 127, 3] RGB."""
        return self._embed(crops).clamp(-65504, 65504).to(torch.float16)

    @torch.inference_mode()
    def respond(self, exemplars: Tensor, crops: Pixels) -> NDArray[np.float32]:
        """Correlation maps, logits float32 [B, N, S, S], of exemplars fp16 [B, C, e, e] in search crops.

        crops: uint8 [B, N, 255, 255, 3] RGB.
        """
        b, n = crops.shape[:2]
        embeddings = self._embed(crops.reshape(b * n, *crops.shape[2:])).float()
        maps = correlate_scales(exemplars.float(), embeddings.reshape(b, n, *embeddings.shape[1:]))
        logits: NDArray[np.float32] = self._match(maps).cpu().numpy()
        return logits

    def warm_up(self, batches: tuple[int, ...] = (1,)) -> None:
        """Run every shape once, so that the first client does not pay for it."""
        config, scales = self.network_config, self.weights.tracker.scales
        for size in batches:
            exemplars = self.embed(np.zeros((size, config.exemplar_size, config.exemplar_size, 3), np.uint8))
            self.respond(exemplars, np.zeros((size, scales, config.search_size, config.search_size, 3), np.uint8))

    def _embed(self, crops: Pixels) -> Tensor:
        preprocessing = self.weights.preprocessing
        pixels = torch.from_numpy(crops).to(self.device).permute(0, 3, 1, 2)
        if preprocessing.order == "bgr":
            pixels = pixels.flip(1)
        scaled = (pixels.to(torch.float32) - preprocessing.mean) / preprocessing.std
        embedded: Tensor = self._embedding(scaled.to(self._dtype, memory_format=torch.channels_last))
        return embedded
