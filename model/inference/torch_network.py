"""The folded network run by torch, on any device.

Shape legend: B targets, N regions of each, C channels, e x e cells of an exemplar's embedding, S x S cells of a map.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.arrays import Float32, RgbCrops
from model.checkpoints import Weights
from model.correlation import correlate_by_products, correlate_scales
from model.inference.devices import TorchPrecision
from model.network import fold_norms, preprocess

_DTYPES: dict[TorchPrecision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchNetwork:
    """Embedding in the precision's type, channels last in memory; correlation in fp32."""

    def __init__(self, weights: Weights, device: torch.device, precision: TorchPrecision) -> None:
        folded = fold_norms(weights.network)
        self._preprocessing, self._device, self._dtype = weights.preprocessing, device, _DTYPES[precision]
        moved = folded.embedding.to(device=device, dtype=self._dtype)
        self._embedding = moved.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._match = folded.match_norm.to(device)
        self._correlate = correlate_by_products if device.type == "cpu" else correlate_scales

    @torch.inference_mode()
    def embed(self, pixels: Tensor) -> Tensor:
        """Embeddings [B, C, s, s] of crops on the device, [B, 3, side, side] RGB 0..255, of any type."""
        scaled = preprocess(pixels, self._preprocessing)
        embedded: Tensor = self._embedding(scaled.to(self._dtype, memory_format=torch.channels_last))
        return embedded

    @torch.inference_mode()
    def embed_crops(self, crops: RgbCrops) -> Tensor:
        """Embeddings [B, C, s, s] on the device of crops uint8 [B, side, side, 3] RGB."""
        return self.embed(torch.from_numpy(crops).to(self._device).permute(0, 3, 1, 2))

    @torch.inference_mode()
    def correlate(self, exemplars: Tensor, searches: Tensor) -> Tensor:
        """Maps, logits float32 [B, N, S, S], of embeddings [B, C, e, e] and [B, N, C, s, s] on the device."""
        logits: Tensor = self._match(self._correlate(exemplars.float(), searches.float()))
        return logits

    @torch.inference_mode()
    def maps(self, exemplars: Tensor, crops: RgbCrops) -> Float32:
        """Maps, logits float32 [B, N, S, S], of exemplars [B, C, e, e] on the device in crops [B, N, side, side, 3]."""
        embeddings = self.embed_crops(crops.reshape(-1, *crops.shape[2:]))
        searches = embeddings.reshape(*crops.shape[:2], *embeddings.shape[1:])
        logits: Float32 = self.correlate(exemplars, searches).cpu().numpy()
        return logits
