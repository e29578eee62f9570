"""The training loop: steps, checkpoints, exact resume, safe interruption."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.checkpoints import load_weights
from model.config import Preprocessing, preset
from model.errors import CheckpointError, ConfigError
from model.files import replacing
from model.network import SiamFC, initialise, middle, preprocess
from model.torch_files import load_tensors
from model.training.box_objective import box_objective
from model.training.config import TrainingConfig
from model.training.distillation import Distillation
from model.training.objective import Loss, Maps, Truth, objective
from model.training.pairs import Batch, BoxBatch
from model.training.parameters import autocast_dtype, freeze, make_optimizer, shared_beginning, trunk_of
from model.training.reference import draw_negatives, reference_objective
from model.training.teachers import load_teacher
from model.training.trunks import TRUNK_PREPROCESSING, load_trunk

_LASTING = ("objective", "upscale", "optimizer", "freeze", "trunk_rate", "teacher")
"""What a resumed run cannot change."""

_PARTS = ("config", "step", "network", "average", "optimizer")
"""What every checkpoint holds."""

PREPROCESSING = Preprocessing(order="rgb", mean=114.0, std=58.0)
"""Mean and spread of natural images' pixels, roughly; becomes a part of the weights."""


def learning_rate(step: int, config: TrainingConfig) -> float:
    """The rate of step `step` (from 0): linear warm-up, plateau, cosine decay over the last `decay_steps`."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    into_decay = step - (config.steps - config.decay_steps)
    if into_decay <= 0 or config.decay_steps == 0:
        return config.learning_rate * warm
    return config.learning_rate * warm * max(0.005, (1 + math.cos(math.pi * into_decay / config.decay_steps)) / 2)


class Trainer:
    """One run's whole state: network, optimizer, averaged weights, step. Made fresh, or from a checkpoint.

    Nothing draws from a global random generator, so that the step alone decides what comes next.
    """

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        """Raises ConfigError and, where the teacher's file cannot be used, CheckpointError."""
        self.config, self.device, self.step = config, device, 0
        self.preprocessing = PREPROCESSING
        self.network = SiamFC(preset(config.preset))
        initialise(self.network, torch.Generator().manual_seed(config.seed))
        self.network.to(device=device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.trunk:
            trunk = trunk_of(self.network)
            if trunk is None:
                raise ConfigError(f"trunk: the network {config.preset} has none")
            load_trunk(trunk, Path(config.trunk))
            self.preprocessing = TRUNK_PREPROCESSING
        self._frozen = freeze(self.network, config.freeze)
        if config.trunk_rate != 1 and (trunk := trunk_of(self.network)) is not None:
            self._frozen += [module for module in trunk.modules() if isinstance(module, nn.BatchNorm2d)]
        self.distillation: Distillation | None = None
        if config.teacher:
            teacher = load_teacher(Path(config.teacher))
            self.distillation = Distillation(teacher, self.network.config).place(device)
        beside = [] if self.distillation is None else [self.distillation]
        self.optimizer = make_optimizer(self.network, beside, config)
        self._dtype = autocast_dtype(config, device)
        self.average = _copy(self.network)

    def start_from(self, path: Path) -> None:
        """Begin with a weights file's network and preprocessing.

        Of another preset's network the convolutions that both begin with are taken, with their norms; raises
        CheckpointError where there is none.
        """
        weights = load_weights(path)
        shared = shared_beginning(weights.network, self.network)
        if not shared:
            raise CheckpointError(
                f"{path}: holds a {weights.network.config.name} network; this run trains {self.config.preset}, "
                "which does not begin as that does"
            )
        self.network.load_state_dict(self.network.state_dict() | shared)
        self.preprocessing = weights.preprocessing
        self.average = _copy(self.network)

    def train_step(self, batch: Batch | BoxBatch) -> Loss:
        """One step on a batch; raises FloatingPointError where the loss is not finite."""
        self.network.train()
        for module in self._frozen:
            module.eval()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.config) * group["factor"]
        loss = self._box_loss(batch) if isinstance(batch, BoxBatch) else self._loss(batch)
        if not torch.isfinite(loss.total):
            raise FloatingPointError(f"the loss is {loss.total.item()} at step {self.step}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(trained, self.config.clip_norm)
        self.optimizer.step()
        self._average()
        self.step += 1
        return loss

    def _loss(self, batch: Batch) -> Loss:
        config, network = self.config, self.network
        pixels = torch.as_tensor(batch.pixels).to(self.device, non_blocking=True).permute(0, 3, 1, 2).float()
        labels = (batch.shifts, batch.log_scales, batch.groups)
        truth = Truth.of_views(*(torch.from_numpy(each).to(self.device) for each in labels))
        crops = preprocess(pixels, self.preprocessing).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, self._dtype, enabled=self._dtype is not None):
            embeddings = network.embed(crops)
            maps = None
            if config.objective == "batch" or self.distillation is not None:
                maps = Maps.of(network, embeddings, truth.shifts)
            if config.objective == "reference":
                negative = draw_negatives(self.step, len(pixels) // 2, config, self.device)
                loss = reference_objective(network, embeddings, truth, negative, config)
            else:
                assert maps is not None
                loss = objective(network.config, maps, truth, config)
            if self.distillation is None:
                return loss
            assert maps is not None
            distance: Tensor = self.distillation(pixels, embeddings, maps, truth.shifts, config)
        return replace(loss, total=loss.total + distance, distilled=distance)

    def _box_loss(self, batch: BoxBatch) -> Loss:
        network = self.network
        first_crops, search_crops = (self._crops(each) for each in (batch.firsts, batch.searches))
        labels = batch.shapes, batch.centres, batch.sizes, batch.groups
        shapes, centres, sizes, groups = (torch.from_numpy(each).to(self.device) for each in labels)
        with torch.autocast(self.device.type, self._dtype, enabled=self._dtype is not None):
            exemplars = network.embed_exemplars(middle(first_crops, network.config.exemplar_size))
            firsts, searches = network.embed(first_crops), network.embed(search_crops)
            truth = Truth.of_pairs(centres, sizes, groups)
            return box_objective(network, exemplars, firsts, searches, shapes, truth, self.config)

    def _crops(self, pixels: NDArray[np.uint8] | Tensor) -> Tensor:
        moved = torch.as_tensor(pixels).to(self.device, non_blocking=True).permute(0, 3, 1, 2).float()
        return preprocess(moved, self.preprocessing).contiguous(memory_format=torch.channels_last)

    def _average(self) -> None:
        # The average warms up, so that the first steps' weights are soon forgotten.
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            kept = self.average[name]
            if kept.is_floating_point():
                kept.lerp_(value, 1 - decay)
            else:
                kept.copy_(value)

    def save(self, path: Path) -> None:
        """Write everything a resume needs; the file appears whole or not at all."""
        state = {
            "config": self.config.as_dict(),
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "distillation": {} if self.distillation is None else self.distillation.state_dict(),
            "preprocessing": asdict(self.preprocessing),
        }
        with replacing(path) as partial:
            torch.save(state, partial)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of `save`; raises CheckpointError where it is another run's, or unreadable.

        The configuration is this run's own: a resumed run may be given more steps, another rate or other data, but
        not another network, optimizer, objective or teacher.
        """
        state = load_tensors(path, "a training checkpoint", self.device)
        lacking = [name for name in _PARTS if not isinstance(state, dict) or name not in state]
        if lacking or "preset" not in state["config"]:
            raise CheckpointError(
                f"{path}: cannot be read as a training checkpoint: without {', '.join(lacking or ['a preset'])}"
            )
        made_for = state["config"]
        held = made_for["preset"]
        if held != self.config.preset:
            raise CheckpointError(f"{path}: holds a {held} network; this run trains {self.config.preset}")
        for name in _LASTING:
            here = getattr(self.config, name)
            if made_for.get(name, here) != here:
                raise CheckpointError(f"{path}: made with {name} {made_for[name]!r}; this run has {here!r}")
        try:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.distillation is not None:
                self.distillation.load_state_dict(state["distillation"])
            self.preprocessing = Preprocessing.from_dict(state.get("preprocessing", asdict(PREPROCESSING)))
            SiamFC(self.network.config).load_state_dict(state["average"])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path}: does not fit this run: {str(error).splitlines()[0]}") from error
        self.average, self.step = state["average"], state["step"]

    def averaged(self) -> SiamFC:
        """A network with the averaged weights (the plain ones where the run keeps no average)."""
        network = SiamFC(self.network.config)
        network.load_state_dict(self.average if self.config.ema else _copy(self.network))
        return network.eval()


def _copy(network: SiamFC) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


class Batches(Protocol):
    """Renders the batch of a step, the same whenever it is asked."""

    def batch(self, step: int) -> Batch | BoxBatch: ...


@contextmanager
def prefetched(sampler: Batches, steps: range, ahead: int = 4) -> Iterator[queue.Queue[Batch | BoxBatch | Exception]]:
    """Batches of the steps, in order, rendered on a thread of their own."""
    batches: queue.Queue[Batch | BoxBatch | Exception] = queue.Queue(ahead)
    stop = threading.Event()

    def put(value: Batch | BoxBatch | Exception) -> None:
        while not stop.is_set():
            try:
                return batches.put(value, timeout=0.2)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for step in steps:
                if stop.is_set():
                    return
                put(sampler.batch(step))
        except Exception as error:  # handed to the loop, which raises it
            put(error)

    thread = threading.Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        yield batches
    finally:
        stop.set()
        thread.join()
