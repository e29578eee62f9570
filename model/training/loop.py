"""The training loop: steps, checkpoints, exact resume, safe interruption."""

from __future__ import annotations

import math
import pickle
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.config import Preprocessing, preset
from model.errors import CheckpointError
from model.network import SiamFC, initialise
from model.training.config import TrainingConfig
from model.training.objective import Loss, Truth, objective
from model.training.pairs import Batch, PairSampler

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
    """One run's whole state: network, optimizer, averaged weights, step. Made fresh, or from a checkpoint."""

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        self.config, self.device, self.step = config, device, 0
        self.network = SiamFC(preset(config.preset))
        initialise(self.network, torch.Generator().manual_seed(config.seed))
        self.network.to(device=device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=config.learning_rate,
        )
        self.average = _copy(self.network)

    def train_step(self, batch: Batch) -> Loss:
        """One step on a batch; raises FloatingPointError where the loss is not finite."""
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.config)
        pixels = torch.from_numpy(batch.pixels).to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        labels = (batch.shifts, batch.log_scales, batch.groups)
        truth = Truth(*(torch.from_numpy(each).to(self.device) for each in labels))
        crops = ((pixels.float() - PREPROCESSING.mean) / PREPROCESSING.std).contiguous(
            memory_format=torch.channels_last
        )
        with torch.autocast(self.device.type, torch.bfloat16):
            embeddings = self.network.embed(crops)
            loss = objective(self.network, embeddings, truth, self.config)
        if not torch.isfinite(loss.total):
            raise FloatingPointError(f"the loss is {loss.total.item()} at step {self.step}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self._average()
        self.step += 1
        return loss

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
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "config": self.config.as_dict(),
                "step": self.step,
                "network": self.network.state_dict(),
                "average": self.average,
                "optimizer": self.optimizer.state_dict(),
            },
            partial,
        )
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of `save`; raises CheckpointError where it is another network's, or unreadable.

        The configuration is this run's own: a resumed run may be given more steps.
        """
        try:
            state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
            made_for = state["config"]["preset"]
        except (OSError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
            raise CheckpointError(f"{path}: cannot be read as a training checkpoint: {error}") from error
        if made_for != self.config.preset:
            raise CheckpointError(f"{path}: holds a {made_for} network; this run trains {self.config.preset}")
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.step = state["average"], state["step"]

    def averaged(self) -> SiamFC:
        """A network with the averaged weights (the plain ones where the run keeps no average)."""
        network = SiamFC(self.network.config)
        network.load_state_dict(self.average if self.config.ema else _copy(self.network))
        return network.eval()


def _copy(network: SiamFC) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


@contextmanager
def prefetched(sampler: PairSampler, steps: range, ahead: int = 4) -> Iterator[queue.Queue[Batch | Exception]]:
    """Batches of the steps, in order, rendered on a thread of their own."""
    batches: queue.Queue[Batch | Exception] = queue.Queue(ahead)
    stop = threading.Event()

    def put(value: Batch | Exception) -> None:
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
