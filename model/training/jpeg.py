"""JPEG's loss, in torch: blocks of 8 x 8 in luma and chroma, their cosine coefficients quantised (ITU-T T.81)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_CHROMA = (
    (17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99),
)  # fmt: skip
"""The quantisation tables of T.81's annex K; values that the second does not state are 99."""

_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def compressed(pixels: Tensor, qualities: Sequence[int]) -> Tensor:
    """Pixels [B, 3, S, S], float32 RGB 0..255, as they come back from compression at each one's quality (1..100)."""
    side = pixels.shape[-1]
    to_ycc = pixels.new_tensor(_TO_YCC)
    cosine = _cosines().to(pixels)
    pad = -side % 8
    ycc = torch.einsum("ij,bjhw->bihw", to_ycc, pixels) - pixels.new_tensor([128, 0, 0])[:, None, None]
    padded = F.pad(ycc, (0, pad, 0, pad), mode="replicate")
    n = padded.shape[-1] // 8
    blocks = padded.reshape(len(pixels), 3, n, 8, n, 8).transpose(3, 4)  # (B, 3, n, n, 8, 8)
    tables = torch.stack([_tables(quality) for quality in qualities]).to(pixels)[:, :, None, None]
    kept = torch.round(cosine @ blocks @ cosine.T / tables) * tables
    back = (cosine.T @ kept @ cosine).transpose(3, 4).reshape(padded.shape)[..., :side, :side]
    back = back + pixels.new_tensor([128, 0, 0])[:, None, None]
    return torch.einsum("ij,bjhw->bihw", torch.linalg.inv(to_ycc), back).clamp(0, 255)


def _cosines() -> Tensor:
    """The orthonormal cosine transform of 8 values, [8, 8]."""
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)[None, :]
    matrix = torch.cos(math.pi * (2 * n + 1) * k / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix


def _tables(quality: int) -> Tensor:
    """Quantisation of Y, Cb, Cr [3, 8, 8] at a quality, scaled as the Independent JPEG Group's library does."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    chroma = torch.full((8, 8), 99.0)
    chroma[:4, :4] = torch.tensor(_CHROMA)
    base = torch.stack([torch.tensor(_LUMA, dtype=torch.float32), chroma, chroma])
    return torch.floor((base * scale + 50) / 100).clamp(1, 255)
