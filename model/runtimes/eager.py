"""The embedding run by torch, on any device."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.config import Preprocessing
from model.network import preprocess
from model.runtimes.devices import TorchPrecision
from model.runtimes.embedding import Pixels

_DTYPES: dict[TorchPrecision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchEmbedder:
    """`Embedder` of a folded embedding (`model.network.fold_norms`), channels last in memory."""

    def __init__(
        self, embedding: nn.Module, preprocessing: Preprocessing, device: torch.device, precision: TorchPrecision
    ) -> None:
        self._preprocessing, self._device, self._dtype = preprocessing, device, _DTYPES[precision]
        moved = embedding.to(device=device, dtype=self._dtype)
        self._embedding = moved.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, crops: Pixels) -> Tensor:
        return self.embed(torch.from_numpy(crops).to(self._device).permute(0, 3, 1, 2))

    @torch.inference_mode()
    def embed(self, pixels: Tensor) -> Tensor:
        """Embeddings [B, C, s, s] of crops that are on the device: [B, 3, side, side] RGB 0..255, of any type."""
        scaled = preprocess(pixels, self._preprocessing)
        embedded: Tensor = self._embedding(scaled.to(self._dtype, memory_format=torch.channels_last))
        return embedded
