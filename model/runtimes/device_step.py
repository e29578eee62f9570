"""The step on the network's device: crops cut, embedded, correlated and read there, many targets in one pass.

Up go the windows of the frames, each once, and a few numbers; back come a peak for each map. On a GPU a pass of up to
`most` targets is one recorded CUDA graph, replayed: passes are padded to the next of a few sizes, each recorded once.
Where there is no GPU the same passes run one operation after the other, which is for tests only: on a CPU OpenCV and
numpy are faster.

Shape legend: B targets, N regions of each, C channels, S x S cells of a map.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from model import windows
from model.config import NetworkConfig, TrackerConfig
from model.correlation import correlate_by_products, correlate_scales
from model.readings import Reading
from model.runtimes.gather import read_crops
from model.runtimes.peaks import PeakReader
from model.runtimes.staging import APART, INFLUENCE, Inputs, Room, Tray
from model.windows import Cut

_log = logging.getLogger(__name__)

_MOST_PIXELS = 2**25
"""Of all windows in one recorded pass: 100 MB on the device, and twice as much of pinned memory here."""

_WARM_UPS = 3
"""Passes before one is recorded: libraries choose their kernels and allocate in the first ones."""

Answer = tuple[Tensor, Tensor]
"""On the device: peaks float32 [B, N, 5] and maps float32 [B, N, S, S]."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A pass that the device may still be at."""

    _tray: Tray
    _pass_number: int
    _wanted: tuple[bool, ...]

    def result(self) -> tuple[Reading, ...]:
        """What was read off each target's maps, once it is there; the maps themselves where they were asked for."""
        tray = self._tray
        assert tray.pass_number == self._pass_number, "two passes have begun since"
        tray.wait()
        count = len(self._wanted)
        peaks = tray.peaks[:count].numpy().copy()
        maps = tray.maps[:count].numpy().copy() if any(self._wanted) else ()
        return tuple(
            Reading(numbers, maps[index] if wanted else None)
            for index, (numbers, wanted) in enumerate(zip(peaks, self._wanted, strict=True))
        )


class DeviceStep:
    """Answers cuts with readings. Stateless between passes; use it from one thread at a time."""

    def __init__(
        self,
        embed: Callable[[Tensor], Tensor],
        match: nn.Module,
        network: NetworkConfig,
        tracker: TrackerConfig,
        device: torch.device,
        most: int,
    ) -> None:
        """`embed`: crops [B, 3, side, side] on the device to embeddings; `match`: maps to logits; `most`: targets."""
        self._embed, self._match, self._network, self._device = embed, match, network, device
        self._correlate = correlate_by_products if device.type == "cpu" else correlate_scales
        self._read = PeakReader(network.map_size, tracker.upscale, device)
        side = network.embedding_size(network.exemplar_size)
        # A window has up to twice the crop's pixels a side; a lost target brings one a region.
        pixels = min((most + tracker.scales) * (2 * network.search_size) ** 2, _MOST_PIXELS)
        self._room = Room(most, pixels, tracker.scales, network.map_size, (network.channels, side, side))
        self._sizes = pass_sizes(most)
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Answer]] = {}
        self._recorded = device.type != "cuda"
        with torch.inference_mode(), self._here():
            self._inputs = Inputs(self._room, device)
            self._trays = Tray(self._room, device), Tray(self._room, device)
        self._passes = 0

    @torch.inference_mode()
    def begin(self, bank: Tensor, indexes: Sequence[int], cuts: Sequence[Cut]) -> Pending:
        """Start a pass: `cuts` are searched for the exemplars of `bank`, fp16 [K, C, e, e], at `indexes`.

        At most one other pass may be under way, and it is answered first. What there is no room for runs all the same,
        slower, one operation after the other.
        """
        self._passes += 1
        count = len(cuts)
        wanted = tuple(cut.maps for cut in cuts)
        with self._here():
            if not self._recorded:
                self._record()
            if self._room.holds(cuts):
                tray, inputs = self._trays[self._passes % 2], self._inputs
                size = next(size for size in self._sizes if size >= count)
            else:
                tray, inputs, size = *self._another(cuts), count
            tray.wait()
            tray.pass_number = self._passes
            tray.fill(indexes, cuts, size)
            tray.send(inputs, bank, size)
            if inputs is self._inputs and size in self._graphs:
                graph, (peaks, maps) = self._graphs[size]
                graph.replay()
            else:
                peaks, maps = self._compute(inputs, size)
            tray.fetch(peaks, maps if any(wanted) else None)
        return Pending(tray, self._passes, wanted)

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Run a pass of nothing; the first of all on a GPU records one of every size."""
        bank = torch.zeros((1, *self._room.exemplar), dtype=torch.float16, device=self._device)
        nothing = Cut((), np.zeros((self._room.scales, windows.NUMBERS)), self._network.search_size)
        self.begin(bank, (0,), (nothing,)).result()

    def _compute(self, inputs: Inputs, size: int) -> Answer:
        numbers, exemplars = inputs.numbers[:size], inputs.exemplars[:size]
        regions = numbers[..., : windows.NUMBERS].flatten(0, 1)
        crops = read_crops(inputs.pixels, regions, self._network.search_size)
        embedded = self._embed(crops).float()
        searches = embedded.reshape(size, -1, *embedded.shape[1:])  # (B, N, C, s, s)
        maps = self._match(self._correlate(exemplars.float(), searches))
        return self._read(maps, numbers[..., INFLUENCE], numbers[:, 0, APART] > 0), maps

    def _another(self, cuts: Sequence[Cut]) -> tuple[Tray, Inputs]:
        room = self._room
        pixels = max(1, sum(cut.pixels for cut in cuts))
        exact = Room(len(cuts), pixels, room.scales, room.map_size, room.exemplar)
        return Tray(exact, self._device), Inputs(exact, self._device)

    def _record(self) -> None:
        """One graph for each size, the largest first: the others then fit into its memory."""
        pool = None
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        for size in reversed(self._sizes):
            try:
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    for _ in range(_WARM_UPS):
                        self._compute(self._inputs, size)
                torch.cuda.current_stream().wait_stream(side)
                graph = torch.cuda.CUDAGraph()
                # Other threads may use the device meanwhile.
                with torch.cuda.graph(graph, pool=pool, stream=side, capture_error_mode="thread_local"):
                    answer = self._compute(self._inputs, size)
            except RuntimeError:
                # It is faster, and nothing else: what cannot be recorded runs as it would on a CPU.
                _log.warning("no CUDA graph for passes of %d targets; they run without", size, exc_info=True)
                continue
            pool = graph.pool() if pool is None else pool
            self._graphs[size] = graph, answer
        self._recorded = True

    def _here(self) -> AbstractContextManager[object]:
        """Whatever is created or queued without naming a device is this one's."""
        return torch.cuda.device(self._device) if self._device.type == "cuda" else nullcontext()


def pass_sizes(most: int) -> tuple[int, ...]:
    """The targets that passes are padded to: powers of two, and `most`."""
    return (*(2**power for power in range(most.bit_length()) if 2**power < most), most)
