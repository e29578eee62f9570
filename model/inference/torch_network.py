"""The folded network run by torch, on any device.

Shape legend: B targets, N regions of each, C channels, e x e cells of an exemplar's embedding, S x S cells of a map.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.arrays import Float32, RgbCrops
from model.box_head import part_responses
from model.checkpoints import Weights
from model.correlation import correlate_by_products, correlate_scales
from model.inference.devices import TorchPrecision
from model.network import fold_norms, middle, preprocess

_DTYPES: dict[TorchPrecision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchNetwork:
    """Embedding in the precision's type, channels last in memory; correlation in fp32."""

    def __init__(self, weights: Weights, device: torch.device, precision: TorchPrecision) -> None:
        folded = fold_norms(weights.network)
        self._preprocessing, self._device, self._dtype = weights.preprocessing, device, _DTYPES[precision]
        moved = folded.embedding.to(device=device, dtype=self._dtype)
        self._embedding = moved.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._match = folded.match_norm.to(device)
        self._head = None if folded.head is None else folded.head.to(device)
        self._cells = weights.network.config.exemplar_side
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

    def embed_exemplars(self, crops: RgbCrops) -> Tensor:
        """Exemplars' embeddings [B, C, e, e] on the device of crops uint8 [B, 127, 127, 3] RGB."""
        return middle(self.embed_crops(crops), self._cells)

    @torch.inference_mode()
    def outputs(self, exemplars: Tensor, searches: Tensor, boxes: Tensor) -> Tensor:
        """The network's outputs, float32 [B, N, K, S, S], of embeddings [B, C, e, e] and [B, N, C, s, s] on the device.

        K is 1, the map's logits, or with a box head 6. boxes: float32 [B, 2], the exemplars' boxes in crop pixels.
        """
        if self._head is None:
            return self.correlate(exemplars, searches)[:, :, None]
        b, n = searches.shape[:2]
        given, flat = exemplars.float().repeat_interleave(n, 0), searches.float().flatten(0, 1)
        parts = part_responses(given, flat)
        head = self._head(parts, flat, boxes.repeat_interleave(n, 0))
        together = torch.cat([self._match(parts.sum(1, keepdim=True)), head], dim=1)
        return together.reshape(b, n, *together.shape[1:])

    @torch.inference_mode()
    def correlate(self, exemplars: Tensor, searches: Tensor) -> Tensor:
        """Maps, logits float32 [B, N, S, S], of embeddings [B, C, e, e] and [B, N, C, s, s] on the device."""
        logits: Tensor = self._match(self._correlate(exemplars.float(), searches.float()))
        return logits

    @torch.inference_mode()
    def respond(self, exemplars: Tensor, crops: RgbCrops, boxes: Float32) -> Float32:
        """`outputs` of exemplars [B, C, e, e] on the device in crops [B, N, side, side, 3], as an array."""
        embeddings = self.embed_crops(crops.reshape(-1, *crops.shape[2:]))
        searches = embeddings.reshape(*crops.shape[:2], *embeddings.shape[1:])
        found: Float32 = self.outputs(exemplars, searches, torch.from_numpy(boxes).to(self._device)).cpu().numpy()
        return found

    @torch.inference_mode()
    def maps(self, exemplars: Tensor, crops: RgbCrops) -> Float32:
        """Maps, logits float32 [B, N, S, S], of exemplars [B, C, e, e] on the device in crops [B, N, side, side, 3]."""
        embeddings = self.embed_crops(crops.reshape(-1, *crops.shape[2:]))
        searches = embeddings.reshape(*crops.shape[:2], *embeddings.shape[1:])
        logits: Float32 = self.correlate(exemplars, searches).cpu().numpy()
        return logits
