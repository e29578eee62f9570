"""The memory through which a pass goes to the device and back: filled and read here, copied without waiting.

Shape legend: B targets, N regions of each, P pixels of all windows, S x S cells of a map, C channels, e x e cells of
an exemplar's embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model import readings, windows
from model.windows import Cut

INFLUENCE, APART = windows.NUMBERS, windows.NUMBERS + 1
"""Columns of `numbers` behind those of a cut: the cosine window's share, and 1 where the regions are apart."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much a pass may hold at most: targets, pixels of their windows; and what is of one size in all passes."""

    targets: int
    pixels: int
    scales: int
    map_size: int
    exemplar: tuple[int, int, int]

    def holds(self, cuts: Sequence[Cut]) -> bool:
        """Whether there is room for these targets."""
        return len(cuts) <= self.targets and sum(cut.pixels for cut in cuts) <= self.pixels


class Inputs:
    """What the device computes from: pixels uint8 [P, 3], numbers float64 [B, N, 12], exemplars fp16 [B, C, e, e]."""

    def __init__(self, room: Room, device: torch.device) -> None:
        self.pixels = torch.zeros((room.pixels, 3), dtype=torch.uint8, device=device)
        shape = room.targets, room.scales, windows.NUMBERS + 2
        self.numbers = torch.zeros(shape, dtype=torch.float64, device=device)
        self.exemplars = torch.zeros((room.targets, *room.exemplar), dtype=torch.float16, device=device)


class Tray:
    """One pass on the host's side, in pinned memory where the device is a GPU.

    Filled by `fill`, sent by `send`; the answer comes back by `fetch` into `peaks`, float32 [B, N, 5], and `maps`,
    float32 [B, N, S, S], which may be read once `wait` has returned.
    """

    def __init__(self, room: Room, device: torch.device) -> None:
        pinned = device.type == "cuda"
        shape = room.targets, room.scales
        self._pixels = torch.empty((room.pixels, 3), dtype=torch.uint8, pin_memory=pinned)
        self._numbers = torch.zeros((*shape, windows.NUMBERS + 2), dtype=torch.float64, pin_memory=pinned)
        self._indexes = torch.zeros(room.targets, dtype=torch.int64, pin_memory=pinned)
        self.peaks = torch.empty((*shape, readings.NUMBERS), dtype=torch.float32, pin_memory=pinned)
        self.maps = torch.empty((*shape, room.map_size, room.map_size), dtype=torch.float32, pin_memory=pinned)
        # One that sleeps: the thread that waits would else take a core from those that decode.
        self._done = torch.cuda.Event(blocking=True) if pinned else None  # type: ignore[no-untyped-call]
        self._used = 0
        self.pass_number = 0
        """Which pass it holds: it is used for others in turn."""

    def fill(self, indexes: Sequence[int], cuts: Sequence[Cut], padded: int) -> None:
        """Take targets in, with their exemplars' indexes, and nothing for the places from them to `padded`.

        What the last pass brought must be there: `wait` first.
        """
        pixels, numbers, at = self._pixels.numpy(), self._numbers.numpy(), 0
        numbers[len(cuts) : padded] = 0
        self._indexes[len(cuts) : padded] = 0
        self._indexes[: len(cuts)] = torch.tensor(indexes, dtype=torch.int64)
        for into, cut in zip(numbers, cuts, strict=False):
            into[:, : windows.NUMBERS] = cut.numbers
            into[:, 0] += at
            # Of regions apart only the middle one is where the target was: elsewhere every place is as likely.
            into[:, INFLUENCE] = 0.0 if cut.apart else cut.influence
            into[len(into) // 2, INFLUENCE] = cut.influence
            into[:, APART] = cut.apart
            for window in cut.windows:
                height, width = window.shape[:2]
                pixels[at : at + height * width].reshape(height, width, 3)[...] = window
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
        """Until all that was queued has been copied."""
        if self._done is not None:
            self._done.synchronize()
