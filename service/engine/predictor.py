"""The network and the tensor that holds every exemplar. The only module of the service that imports torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from model.checkpoints import Weights
from model.inference.loading import load_predictor
from model.inference.pending import Pending
from model.inference.predictor import Predictor
from model.inference.remembered import RememberedChoices
from model.search import Cutter, Search
from service.engine.slots import Slot


class DevicePredictor:
    """The `SlotPredictor` of a real device: exemplars are in one preallocated fp16 tensor, indexed by slot."""

    def __init__(
        self,
        weights: Weights,
        *,
        device: str,
        precision: str,
        threads: int,
        slots: int,
        runtime: str = "torch",
        batch_max: int = 1,
        on_device: bool | None = None,
        remembered: RememberedChoices | None = None,
    ) -> None:
        """`slots`: their number; the other arguments are those of `model.inference.loading.load_predictor`.

        Raises ConfigError if device, runtime or precision cannot be used.
        """
        self._network = load_predictor(
            weights,
            device=device,
            precision=precision,
            runtime=runtime,
            threads=threads,
            batch_max=batch_max,
            on_device=on_device,
            remembered=remembered,
        )
        if self._network.runtime == "openvino":
            # Torch has little left to do, and its idle threads would spin on OpenVINO's cores.
            torch.set_num_threads(1)
        config = self._network.tracker.network
        side = config.exemplar_side
        # Not zeroed, so that on a CPU the pages of unused slots take no memory.
        self._exemplars = torch.empty(
            (slots, config.channels, side, side),
            dtype=torch.float16,
            device=self._network.device,
        )

    @property
    def network(self) -> Predictor:
        """The network, its device, runtime and precision."""
        return self._network

    @property
    def cutter(self) -> Cutter:
        """Cuts crops for a CPU; for a GPU, windows of the frame, from which it cuts them itself."""
        return self._network.cutter

    @property
    def bytes_per_target(self) -> int:
        """Device memory of one slot, in bytes."""
        return self._exemplars[0].numel() * self._exemplars.element_size()

    def embed(self, slots: Sequence[Slot], crops: NDArray[np.uint8]) -> None:
        self._exemplars[self._indexes(slots)] = self._network.embed(crops)

    def read(self, slots: Sequence[Slot]) -> NDArray[np.float16]:
        embeddings: NDArray[np.float16] = self._exemplars[self._indexes(slots)].cpu().numpy()
        return embeddings

    def write(self, slots: Sequence[Slot], embeddings: NDArray[np.float16]) -> None:
        # Copied because arrays from a store may be read-only, and torch warns about those.
        self._exemplars[self._indexes(slots)] = torch.from_numpy(embeddings.copy()).to(self._exemplars.device)

    def respond(self, slots: Sequence[Slot], searches: Sequence[Search]) -> Pending:
        return self._network.begin(self._exemplars, [slot.index for slot in slots], searches)

    def capacity(self, waiting: int) -> int:
        return self._network.capacity(waiting)

    def probe(self) -> None:
        self._network.warm_up()

    def _indexes(self, slots: Sequence[Slot]) -> torch.Tensor:
        return torch.tensor([slot.index for slot in slots], device=self._exemplars.device)
