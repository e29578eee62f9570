"""The network and the tensor that holds every session's exemplars. The one module here that knows torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from model.checkpoints import Weights
from model.inference.loading import load_predictor
from model.inference.pending import Pending
from model.inference.predictor import Predictor
from model.search import Cutter, Search
from service.engine.slots import Slot


class DevicePredictor:
    """The predictor of a real device: exemplars lie in one preallocated fp16 tensor, indexed by slot."""

    def __init__(
        self,
        weights: Weights,
        *,
        device: str,
        precision: str,
        threads: int,
        capacity: int,
        runtime: str = "torch",
        batch_max: int = 1,
        on_device: bool | None = None,
    ) -> None:
        """`capacity` is the number of slots; the rest as for `model.inference.loading.load_predictor`.

        Raises ConfigError where device, runtime or precision cannot be had.
        """
        self._network = load_predictor(
            weights,
            device=device,
            precision=precision,
            runtime=runtime,
            threads=threads,
            batch_max=batch_max,
            on_device=on_device,
        )
        if self._network.runtime == "openvino":
            # What is left to torch is small, and its idle threads would spin on OpenVINO's cores.
            torch.set_num_threads(1)
        config = self._network.tracker.network
        side = config.embedding_size(config.exemplar_size)
        # Not zeroed: on a CPU the pages of slots that were never used cost nothing.
        self._exemplars = torch.empty(
            (capacity, config.channels, side, side),
            dtype=torch.float16,
            device=self._network.device,
        )

    @property
    def network(self) -> Predictor:
        """The network, its device, runtime and precision."""
        return self._network

    @property
    def cutter(self) -> Cutter:
        """Cuts crops here for a CPU; a GPU cuts them itself."""
        return self._network.cutter

    @property
    def bytes_per_target(self) -> int:
        """Device memory of one slot."""
        return self._exemplars[0].numel() * self._exemplars.element_size()

    def embed(self, slots: Sequence[Slot], crops: NDArray[np.uint8]) -> None:
        self._exemplars[self._indexes(slots)] = self._network.embed(crops)

    def read(self, slots: Sequence[Slot]) -> NDArray[np.float16]:
        embeddings: NDArray[np.float16] = self._exemplars[self._indexes(slots)].cpu().numpy()
        return embeddings

    def write(self, slots: Sequence[Slot], embeddings: NDArray[np.float16]) -> None:
        # A copy: what came out of a store may be read-only, which torch warns of.
        self._exemplars[self._indexes(slots)] = torch.from_numpy(embeddings.copy()).to(self._exemplars.device)

    def respond(self, slots: Sequence[Slot], searches: Sequence[Search]) -> Pending:
        return self._network.begin(self._exemplars, [slot.index for slot in slots], searches)

    def capacity(self, waiting: int) -> int:
        return self._network.capacity(waiting)

    def probe(self) -> None:
        self._network.warm_up()

    def _indexes(self, slots: Sequence[Slot]) -> torch.Tensor:
        return torch.tensor([slot.index for slot in slots], device=self._exemplars.device)
