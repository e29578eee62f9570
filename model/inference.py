"""The network made ready to run: device, runtime, precision, threads, warm-up.

Shape legend: B targets, N scales, C channels, e x e cells of an exemplar's embedding, S x S cells of a map.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.checkpoints import Weights
from model.correlation import correlate_by_products, correlate_scales
from model.network import SiamFC, fold_norms
from model.readings import Reading
from model.runtimes import probe
from model.runtimes.choice import Candidate, Measured, candidates, decide
from model.runtimes.cores import Cores, Exemplars, Shared
from model.runtimes.device_step import DeviceStep, Pending
from model.runtimes.devices import choose_device, choose_precision
from model.runtimes.eager import TorchEmbedder
from model.runtimes.embedding import Embedder, Pixels
from model.tracker import Cutter, cut_crops
from model.windows import Cut, cut_windows

if TYPE_CHECKING:
    from model.runtimes.compiled import OpenVinoResponder

__all__ = ["Pixels", "Predictor", "choose_device", "choose_precision"]

_log = logging.getLogger(__name__)

_AT_ONCE = 2
"""Targets that OpenVINO's cores embed together: of more, what a layer leaves has left the cache before the next one."""


class Predictor:
    """The folded network on its device. Stateless between calls; use it from one thread at a time.

    `device`, `runtime` and `precision` say what it runs with, `measured` what they were chosen by, if by measurement.
    Embeddings are handed out and taken back as fp16 [B, C, e, e] on the device; correlation and everything after it
    is fp32. On a GPU crops are cut and maps are read there too (`model.runtimes.device_step`): `cut` says what it wants
    to be given, and what it answers fits it.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        device: str = "auto",
        precision: str = "auto",
        runtime: str = "torch",
        threads: int = 0,
        batch_max: int = 1,
        on_device: bool | None = None,
    ) -> None:
        """`runtime`: torch, openvino, or auto, which takes the fastest here that tracks as fp32 does.

        That is measured now, for a few seconds, where more than one comes into question; with runtime torch there is
        one. `threads`: how many cores the network may use; 0 is torch's number. `batch_max`: targets in one pass that
        it prepares for; more are slower. `on_device`: whether torch also cuts crops and reads maps; None: on a GPU.
        Raises ConfigError where device, runtime or precision cannot be had.
        """
        self.weights = weights
        self.network_config = weights.network.config
        self.device = choose_device(device)
        self._threads = threads or torch.get_num_threads()
        among = candidates(runtime, precision, self.device, self.network_config)
        self.measured = self._measure(among) if len(among) > 1 else ()
        chosen = decide(self.measured).candidate if self.measured else among[0]
        if self.measured:
            _log.info("the network runs with %s; %s", chosen, ", ".join(map(str, self.measured)))
        self.runtime, self.precision = chosen.runtime, chosen.precision
        folded = fold_norms(weights.network)
        self._match = folded.match_norm.to(self.device)
        self._embedder = self._make_embedder(folded)
        self._all_cores, self._cores = self._make_responders(batch_max)
        wanted = self.device.type == "cuda" if on_device is None else on_device
        self._step = self._make_step(batch_max) if wanted else None

    @property
    def cut(self) -> Cutter:
        """How search regions are to be cut for `respond`."""
        return cut_crops if self._step is None else cut_windows

    def _measure(self, among: tuple[Candidate, ...]) -> tuple[Measured, ...]:
        def make(candidate: Candidate) -> Predictor:
            # Named, it is not measured again.
            return Predictor(
                self.weights,
                device=str(self.device),
                precision=candidate.precision,
                runtime=candidate.runtime,
                threads=self._threads,
            )

        return probe.measure(among, make)

    def _make_embedder(self, folded: SiamFC) -> Embedder:
        if self.runtime == "openvino":
            # Here, not above: OpenVINO is an extra.
            from model.runtimes.compiled import OpenVinoEmbedder

            assert self.precision != "fp16"
            return OpenVinoEmbedder(self.weights, self.precision, self._threads)
        assert self.precision != "int8"
        torch.set_num_threads(self._threads)
        return TorchEmbedder(folded.embedding, self.weights.preprocessing, self.device, self.precision)

    def _make_responders(self, batch_max: int) -> tuple[OpenVinoResponder | None, Cores | None]:
        """OpenVINO's cores together, and one by one where there are several; torch shares a batch out itself."""
        if self.runtime != "openvino":
            return None, None
        from model.runtimes.compiled import all_cores, each_core

        assert self.precision != "fp16"
        given = self.weights, self.precision, self._threads
        several = batch_max > 1 and self._threads > 1
        return all_cores(*given), Cores(each_core(*given), self._threads) if several else None

    def _make_step(self, batch_max: int) -> DeviceStep:
        assert isinstance(self._embedder, TorchEmbedder)
        config, tracker = self.network_config, self.weights.tracker
        return DeviceStep(self._embedder.embed, self._match, config, tracker, self.device, batch_max)

    def room(self, waiting: int) -> int:
        """Of so many targets that wait, how many to `begin` with at once, so that no core or GPU is idle."""
        return waiting if self._cores is None else self._cores.room(waiting)

    @torch.inference_mode()
    def embed(self, crops: Pixels) -> Tensor:
        """Exemplar embeddings, fp16 [B, C, e, e] on the device, of crops uint8 [B, 127, 127, 3] RGB."""
        # What torch does beside OpenVINO's embedding.
        with one_torch_thread() if self.runtime == "openvino" else nullcontext():
            return self._embedder(crops).clamp(-65504, 65504).to(torch.float16)

    @overload
    def respond(self, exemplars: Tensor, crops: Pixels) -> NDArray[np.float32]: ...

    @overload
    def respond(
        self, exemplars: Tensor, crops: Pixels | tuple[Cut, ...]
    ) -> NDArray[np.float32] | tuple[Reading, ...]: ...

    def respond(self, exemplars: Tensor, crops: Pixels | tuple[Cut, ...]) -> NDArray[np.float32] | tuple[Reading, ...]:
        """Correlation maps, logits float32 [B, N, S, S], of exemplars fp16 [B, C, e, e] in search crops.

        crops: uint8 [B, N, 255, 255, 3] RGB; or B cuts, answered by what was read off each one's maps.
        """
        found = self.begin(exemplars, range(len(crops)), crops)
        return found if isinstance(found, np.ndarray) else found.result()

    @overload
    def begin(self, bank: Tensor, indexes: Sequence[int], crops: tuple[Cut, ...]) -> Pending: ...

    @overload
    def begin(self, bank: Tensor, indexes: Sequence[int], crops: Pixels) -> NDArray[np.float32] | Shared: ...

    def begin(
        self, bank: Tensor, indexes: Sequence[int], crops: Pixels | tuple[Cut, ...]
    ) -> NDArray[np.float32] | Shared | Pending:
        """Start to answer crops, whose exemplars are those of `bank`, fp16 [K, C, e, e] on the device, at `indexes`.

        What `respond` answers, or something whose `result` will: then the device is still at it on return, and another
        pass can be begun meanwhile, one and no more.
        """
        if isinstance(crops, tuple):
            assert self._step is not None
            return self._step.begin(bank, indexes, crops)
        if self._all_cores is None:
            return self._maps(bank[list(indexes)], crops)
        return self._share_out(self._all_cores, bank.numpy()[list(indexes)], crops)

    def _share_out(
        self, all_cores: OpenVinoResponder, exemplars: Exemplars, crops: Pixels
    ) -> NDArray[np.float32] | Shared:
        """To a core each what the cores can share evenly, to all together what is left."""
        apart = self._cores.share(len(crops)) if self._cores is not None else 0
        if self._cores is None or not apart:
            return _together(all_cores, exemplars, crops)
        left = partial(_together, all_cores, exemplars[apart:], crops[apart:]) if apart < len(crops) else None
        return self._cores.begin(exemplars[:apart], crops[:apart], left)

    @torch.inference_mode()
    def _maps(self, exemplars: Tensor, crops: Pixels) -> NDArray[np.float32]:
        """By torch."""
        correlate = correlate_by_products if self.device.type == "cpu" else correlate_scales
        embeddings = self._embedder(crops.reshape(-1, *crops.shape[2:])).float()
        searches = embeddings.reshape(*crops.shape[:2], *embeddings.shape[1:])
        logits: NDArray[np.float32] = self._match(correlate(exemplars.float(), searches)).cpu().numpy()
        return logits

    def warm_up(self, batches: tuple[int, ...] = (1,)) -> None:
        """Run every shape once, so that the first client does not pay for it."""
        config, scales = self.network_config, self.weights.tracker.scales
        # So many that each core is given one.
        for size in batches if self._cores is None else (*batches, self._threads):
            exemplars = self.embed(np.zeros((size, config.exemplar_size, config.exemplar_size, 3), np.uint8))
            self.respond(exemplars, np.zeros((size, scales, config.search_size, config.search_size, 3), np.uint8))
        if self._step is not None:
            self._step.warm_up()


def _together(all_cores: OpenVinoResponder, exemplars: Exemplars, crops: Pixels) -> NDArray[np.float32]:
    """By all cores, a few targets after the other."""
    few = [slice(at, at + _AT_ONCE) for at in range(0, len(crops) or 1, _AT_ONCE)]
    found = [all_cores(exemplars[each], crops[each]) for each in few]
    return found[0] if len(found) == 1 else np.concatenate(found)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Within the block torch has one thread: its others wait by spinning, on the cores that OpenVINO's threads need."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
