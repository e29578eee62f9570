"""Peaks read off correlation maps on the device, many targets at once. Any device.

It does what `model.score_map.find_peak`, its oracle, does for one target with numpy. Shape legend: B targets, N maps of
each, S x S cells of a map, U x U values of the upscaled map.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from model.arrays import Float32
from model.patches import upscale_matrix
from model.score_map import cosine_window

_NEAR = 2
"""Distance from the peak, in cells down and across, within which cells are part of it."""

PLACE = slice(1, 3)
"""Columns of the numbers that say where a peak lies, right and down, in upscaled cells from the middle."""


class PeakReader:
    """Reads maps of `cells` a side, `upscale` values a cell. It never waits for the device: a graph can record it."""

    def __init__(self, cells: int, upscale: int, device: torch.device) -> None:
        self._upscale = upscale
        self._matrix = _on(device, upscale_matrix(cells, upscale))
        self._window = _on(device, cosine_window(len(self._matrix)))
        self._cells = torch.arange(cells, dtype=torch.float32, device=device)

    def __call__(self, maps: Tensor, shares: Tensor, apart: Tensor) -> Tensor:
        """`DeviceResponse.numbers` of each target, float32 [B, N, 5], of logits [B, N, S, S].

        shares: float64 [B, N], the cosine window's share in each map. apart: bool [B], whether a target's regions are
        apart: then each map has its own floor; scales of one region share one.
        """
        upscaled = self._matrix @ maps @ self._matrix.T  # (B, N, U, U)
        lowest = upscaled.amin((2, 3))
        floor = torch.where(apart[:, None], lowest, lowest.amin(1, keepdim=True))
        raised = upscaled - floor[..., None, None]
        total = raised.sum((2, 3)).double()
        gain = torch.where(total > 0, (1 - shares) / total, 0.0).float()
        blended = raised * gain[..., None, None] + shares.float()[..., None, None] * self._window
        place = blended.flatten(2).argmax(2)
        logit = upscaled.flatten(2).gather(2, place[..., None])[..., 0]
        side = len(self._matrix)
        row, column = (place // side).float(), (place % side).float()
        contrast = self._contrast(maps, logit, row / self._upscale, column / self._upscale)
        half = (side - 1) / 2
        return torch.stack([raised.amax((2, 3)), column - half, row - half, logit, contrast], 2)

    def read_boxes(self, numbers: Tensor, outputs: Tensor) -> Tensor:
        """A box head's outputs [B, N, 5, S, S] at the peaks, float32 [B, N, 5], between cells interpolated bilinearly.

        numbers: float32 [B, N, 5] of this reader. Equal to what `model.box_reading.read_box` reads.
        """
        b, n, channels, cells, _ = outputs.shape
        # From -1 to 1 over the cells' middles.
        places = numbers[..., PLACE] / (self._upscale * (cells - 1) / 2)
        grid = places.reshape(b * n, 1, 1, 2)
        read = F.grid_sample(outputs.float().flatten(0, 1), grid, padding_mode="border", align_corners=True)
        return read.reshape(b, n, channels)

    def _contrast(self, maps: Tensor, logit: Tensor, row: Tensor, column: Tensor) -> Tensor:
        far_down = (self._cells - row[..., None]).abs() > _NEAR  # (B, N, S)
        far_across = (self._cells - column[..., None]).abs() > _NEAR
        outside = (far_down[..., :, None] | far_across[..., None, :]).float()
        count = outside.sum((2, 3)).clamp(min=1)
        mean = (maps * outside).sum((2, 3)) / count
        spread = (((maps - mean[..., None, None]) * outside).square().sum((2, 3)) / count).sqrt()
        # Without surroundings, or with flat ones, the peak has no contrast.
        return torch.where((spread > 1e-6) & spread.isfinite(), (logit - mean) / spread, 0.0)


def _on(device: torch.device, values: Float32) -> Tensor:
    # A copy: the cached arrays are read-only, which torch warns of.
    return torch.from_numpy(values.copy()).to(device)
