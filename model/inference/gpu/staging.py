"""Memory for a pass on its way to the device and back: filled and read here, copied without waiting.

Shape legend: B targets, N regions of each, P pixels of all windows, S x S cells of a map, C channels, e x e cells of
an exemplar's embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model import response, windows
from model.search import Search, windows_of
from model.windows import FrameWindows

SHARE, APART = windows.NUMBERS, windows.NUMBERS + 1
"""Columns of `numbers` behind those of the windows: the cosine window's share, and 1 where the regions are apart."""
QUALITY = windows.NUMBERS + 2
"""Column behind those: weight of the box head's quality in the response."""
BOX = slice(windows.NUMBERS + 3, windows.NUMBERS + 5)
"""Columns behind those: width and height of the exemplar's box in its crop, in pixels."""
COLUMNS = windows.NUMBERS + 5


@dataclass(frozen=True, slots=True)
class PassLimits:
    """How much one pass may hold: targets, and pixels of their windows; and the sizes that are alike in all passes.

    scales: regions a target. map_size: cells on a side of a map. exemplar: (C, e, e). answers: numbers a map that come
    back (`model.response.DeviceResponse`).
    """

    targets: int
    pixels: int
    scales: int
    map_size: int
    exemplar: tuple[int, int, int]
    answers: int = response.NUMBERS

    def hold(self, seen: Sequence[FrameWindows]) -> bool:
        """Whether one pass holds these targets' windows."""
        return len(seen) <= self.targets and sum(each.pixels for each in seen) <= self.pixels

    def exactly(self, seen: Sequence[FrameWindows]) -> PassLimits:
        """Limits that these targets' windows just reach."""
        return replace(self, targets=len(seen), pixels=max(1, sum(each.pixels for each in seen)))


class Inputs:
    """The input on the device: pixels uint8 [P, 3], numbers float64 [B, N, 15], exemplars fp16 [B, C, e, e]."""

    def __init__(self, limits: PassLimits, device: torch.device) -> None:
        self.pixels = torch.zeros((limits.pixels, 3), dtype=torch.uint8, device=device)
        shape = limits.targets, limits.scales, COLUMNS
        self.numbers = torch.zeros(shape, dtype=torch.float64, device=device)
        self.exemplars = torch.zeros((limits.targets, *limits.exemplar), dtype=torch.float16, device=device)


class Tray:
    """One pass on the host's side, in pinned memory where the device is a GPU.

    Filled by `fill`, sent by `send`; the answer comes back by `fetch` into `peaks`, float32 [B, N, 5], and `maps`,
    float32 [B, N, S, S], which may be read once `wait` has returned.
    """

    def __init__(self, limits: PassLimits, device: torch.device) -> None:
        pinned = device.type == "cuda"
        shape = limits.targets, limits.scales
        self._pixels = torch.empty((limits.pixels, 3), dtype=torch.uint8, pin_memory=pinned)
        self._numbers = torch.zeros((*shape, COLUMNS), dtype=torch.float64, pin_memory=pinned)
        self._indexes = torch.zeros(limits.targets, dtype=torch.int64, pin_memory=pinned)
        self.peaks = torch.empty((*shape, limits.answers), dtype=torch.float32, pin_memory=pinned)
        self.maps = torch.empty((*shape, limits.map_size, limits.map_size), dtype=torch.float32, pin_memory=pinned)
        # Blocking, so that the thread that waits sleeps instead of taking a core from decoding.
        self._done = torch.cuda.Event(blocking=True) if pinned else None  # type: ignore[no-untyped-call]
        self._used = 0
        self.pass_number = 0
        """The pass that it holds; it is used for every second one."""

    def fill(self, indexes: Sequence[int], searches: Sequence[Search], padded: int) -> None:
        """Take in searches with windows, and their exemplars' indexes; zeros in the places from them to `padded`.

        `wait` first: the last pass's answer must be there.
        """
        pixels, numbers, at = self._pixels.numpy(), self._numbers.numpy(), 0
        numbers[len(searches) : padded] = 0
        self._indexes[len(searches) : padded] = 0
        self._indexes[: len(searches)] = torch.tensor(indexes, dtype=torch.int64)
        for into, search, seen in zip(numbers, searches, windows_of(searches), strict=False):
            into[:, : windows.NUMBERS] = seen.numbers
            into[:, 0] += at
            into[:, SHARE] = search.shares
            into[:, APART] = search.apart
            into[:, QUALITY] = search.quality_influence
            into[:, BOX] = search.exemplar_box
            for image in seen.images:
                height, width = image.shape[:2]
                pixels[at : at + height * width].reshape(height, width, 3)[...] = image
                at += height * width
        self._used = at

    def send(self, inputs: Inputs, bank: Tensor, count: int) -> None:
        """Queue the copies of `count` targets to the device, their exemplars from `bank`, fp16 [K, C, e, e] there."""
        inputs.pixels[: self._used].copy_(self._pixels[: self._used], non_blocking=True)
        inputs.numbers[:count].copy_(self._numbers[:count], non_blocking=True)
        indexes = self._indexes[:count].to(bank.device, non_blocking=True)
        torch.index_select(bank, 0, indexes, out=inputs.exemplars[:count])

    def fetch(self, peaks: Tensor, maps: Tensor | None) -> None:
        """Queue the copies of the answer, [B, N, 5] and perhaps [B, N, S, S], back from the device."""
        self.peaks[: len(peaks)].copy_(peaks, non_blocking=True)
        if maps is not None:
            self.maps[: len(maps)].copy_(maps, non_blocking=True)
        if self._done is not None:
            self._done.record()

    def wait(self) -> None:
        """Wait until everything queued has been copied."""
        if self._done is not None:
            self._done.synchronize()
