"""The step on the network's device: crops cut, embedded, correlated and read there, many targets in one pass.

Up go the windows of the frames, each once, and a few numbers; back come a peak for each map. On a GPU a pass of up to
`most` targets is one recorded CUDA graph, replayed: passes are padded to the next of a few sizes, each recorded once.
Where there is no GPU the same passes run one operation after the other, which is for tests only: on a CPU OpenCV and
numpy are faster.

Shape legend: B targets, N regions of each, C channels, S x S cells of a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from model import windows
from model.box_reading import OUTPUTS, QUALITY_RANGE
from model.inference.gpu.device_crops import read_crops
from model.inference.gpu.graphs import Graphs, PassOutput
from model.inference.gpu.peaks import PeakReader
from model.inference.gpu.staging import APART, BOX, QUALITY, SHARE, Inputs, PassLimits, Tray
from model.inference.torch_network import TorchNetwork
from model.response import HEAD_NUMBERS, NUMBERS, DeviceResponse, Response
from model.search import Search, windows_of
from model.tracker import Tracker

_MOST_PIXELS = 2**25
"""Pixels of all windows in one recorded pass: 100 MB on the device, and twice as much of pinned memory here."""


@dataclass(frozen=True, slots=True)
class DevicePending:
    """`Pending` of a pass that the device may still be at."""

    _tray: Tray
    _pass_number: int
    _wanted: tuple[bool, ...]

    @property
    def ready(self) -> bool:
        return False

    def result(self) -> list[Response]:
        tray = self._tray
        assert tray.pass_number == self._pass_number, "two passes have begun since"
        tray.wait()
        count = len(self._wanted)
        peaks = tray.peaks[:count].numpy().copy()
        maps = tray.maps[:count].numpy().copy() if any(self._wanted) else ()
        return [
            DeviceResponse(numbers, maps[index] if wanted else None)
            for index, (numbers, wanted) in enumerate(zip(peaks, self._wanted, strict=True))
        ]


class DeviceStep:
    """Responds to searches with windows. Stateless between passes; use it from one thread at a time."""

    def __init__(self, network: TorchNetwork, tracker: Tracker, device: torch.device, most: int) -> None:
        """`most`: targets of a recorded pass."""
        self._network, self._device = network, device
        geometry, constants = tracker.network, tracker.constants
        self._size = geometry.search_size
        self._read = PeakReader(geometry.map_size, constants.upscale, device)
        side = geometry.exemplar_side
        # A window has up to twice the crop's pixels a side; a lost target brings one a region.
        pixels = min((most + constants.scales) * (2 * self._size) ** 2, _MOST_PIXELS)
        exemplar = geometry.channels, side, side
        answers = NUMBERS if geometry.head is None else HEAD_NUMBERS
        self._limits = PassLimits(most, pixels, constants.scales, geometry.map_size, exemplar, answers)
        self._sizes = pass_sizes(most)
        with torch.inference_mode(), self._here():
            self._inputs = Inputs(self._limits, device)
            self._trays = Tray(self._limits, device), Tray(self._limits, device)
        self._graphs: Graphs | None = None
        self._passes = 0

    @torch.inference_mode()
    def begin(self, bank: Tensor, indexes: Sequence[int], searches: Sequence[Search]) -> DevicePending:
        """Start a pass: the exemplars of `bank`, fp16 [K, C, e, e], at `indexes`, in searches with windows.

        At most one other pass may be under way, and its result is asked for first. A pass beyond the limits runs all
        the same, slower, one operation after the other. Raises ValueError for searches without windows.
        """
        seen = windows_of(searches)
        self._passes += 1
        count = len(searches)
        wanted = tuple(search.maps for search in searches)
        with self._here():
            graphs = self._recorded()
            if self._limits.hold(seen):
                tray, inputs = self._trays[self._passes % 2], self._inputs
                size = next(size for size in self._sizes if size >= count)
            else:
                exact = self._limits.exactly(seen)
                tray, inputs, size = Tray(exact, self._device), Inputs(exact, self._device), count
            tray.wait()
            tray.pass_number = self._passes
            tray.fill(indexes, searches, size)
            tray.send(inputs, bank, size)
            if inputs is self._inputs and size in graphs:
                peaks, maps = graphs.replay(size)
            else:
                peaks, maps = self._compute(inputs, size)
            tray.fetch(peaks, maps if any(wanted) else None)
        return DevicePending(tray, self._passes, wanted)

    def _compute(self, inputs: Inputs, size: int) -> PassOutput:
        numbers, exemplars = inputs.numbers[:size], inputs.exemplars[:size]
        regions = numbers[..., : windows.NUMBERS].flatten(0, 1)
        embedded = self._network.embed(read_crops(inputs.pixels, regions, self._size))
        searches = embedded.reshape(size, -1, *embedded.shape[1:])  # (B, N, C, s, s)
        outputs = self._network.outputs(exemplars, searches, numbers[:, 0, BOX].float())
        maps, boxes = outputs[:, :, 0].contiguous(), outputs[:, :, 1:]
        if boxes.shape[2]:
            maps += numbers[..., QUALITY, None, None].float() * boxes[:, :, OUTPUTS - 1].clamp(*QUALITY_RANGE)
        peaks = self._read(maps, numbers[..., SHARE], numbers[:, 0, APART] > 0)
        if boxes.shape[2]:
            peaks = torch.cat([peaks, self._read.read_boxes(peaks, boxes)], dim=2)
        return peaks, maps

    def _recorded(self) -> Graphs:
        """The graphs, recorded at the first call where the device is a GPU."""
        if self._graphs is None:
            self._graphs = Graphs()
            if self._device.type == "cuda":
                self._graphs.record(self._sizes, lambda size: self._compute(self._inputs, size))
        return self._graphs

    def _here(self) -> AbstractContextManager[object]:
        """Tensors and streams that name no device are this one's."""
        return torch.cuda.device(self._device) if self._device.type == "cuda" else nullcontext()


def pass_sizes(most: int) -> tuple[int, ...]:
    """The numbers of targets that passes are padded to: powers of two, and `most`."""
    return (*(2**power for power in range(most.bit_length()) if 2**power < most), most)
