"""A whole training run: corpus in, checkpoints, a log and a weights file out."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from model.checkpoints import Weights, save_weights
from model.errors import CheckpointError
from model.inference import Predictor, choose_device
from model.training.calibration import can_calibrate, fit, gather
from model.training.config import TrainingConfig
from model.training.corpus import Corpus
from model.training.loop import PREPROCESSING, Trainer, learning_rate, prefetched
from model.training.objective import Loss
from model.training.pairs import PairSampler

CHECKPOINT, LOG, WEIGHTS = "last.pt", "log.jsonl", "weights.safetensors"
_LOG_EVERY = 20
_CALIBRATION_FRAMES = 40


@dataclass(frozen=True, slots=True)
class Progress:
    """The mean of the last steps. Losses as in `objective.Loss`; `error_px` in crop pixels.

    `pairs_per_s` counts directed pairs, `waiting` is the share of the time in which the network waited for data.
    """

    step: int
    steps: int
    loss: float
    labelled: float
    softmax: float
    others: float
    error_px: float
    learning_rate: float
    pairs_per_s: float
    waiting: float


def train(
    config: TrainingConfig,
    corpus: Path,
    out: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    on_progress: Callable[[Progress], None] | None = None,
) -> bool:
    """Train, and write `weights.safetensors`, `last.pt` and `log.jsonl` into `out`.

    A complete run's score is fitted on the corpus's ordered clips, if it has any two.
    Interrupted (SIGINT, SIGTERM), it finishes the step, writes a checkpoint and returns False; `resume` goes on from
    there, and ends with the numbers an uninterrupted run has on the same machine. Raises CorpusError,
    CheckpointError (a run is there and `resume` is not asked for, or the reverse), FloatingPointError.
    """
    chosen = choose_device(device)
    checkpoint = out / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise CheckpointError(f"{checkpoint}: there is a run already; resume it, or choose another folder")
    if resume and not checkpoint.exists():
        raise CheckpointError(f"{checkpoint}: there is no run to resume")
    data = Corpus(corpus)
    out.mkdir(parents=True, exist_ok=True)
    if config.threads:
        torch.set_num_threads(config.threads)
    trainer = Trainer(config, chosen)
    if resume:
        trainer.load(checkpoint)
    sampler = PairSampler(data, trainer.network.config, config)
    with _interruptible() as interrupted, (out / LOG).open("a", encoding="utf-8") as log:
        _steps(trainer, sampler, checkpoint, interrupted, _reporter(log.write, on_progress))
        trainer.save(checkpoint)
    complete = trainer.step >= config.steps
    weights = finished(trainer)
    if complete and can_calibrate(data):
        evidence = gather(Predictor(weights, device=device), data, _CALIBRATION_FRAMES)
        weights = replace(weights, calibration=fit(evidence))
    save_weights(out / WEIGHTS, weights)
    return complete


def finished(trainer: Trainer) -> Weights:
    """The run's weights: the averaged network, and how it was trained."""
    facts = {"step": trainer.step, "config": trainer.config.as_dict()}
    return Weights(trainer.averaged(), PREPROCESSING, training=facts)


def _steps(
    trainer: Trainer,
    sampler: PairSampler,
    checkpoint: Path,
    interrupted: threading.Event,
    report: Callable[[Progress], None],
) -> None:
    config = trainer.config
    recent: list[Loss] = []
    since, waited = time.perf_counter(), 0.0
    with prefetched(sampler, range(trainer.step, config.steps)) as batches:
        while trainer.step < config.steps and not interrupted.is_set():
            asked = time.perf_counter()
            batch = batches.get()
            waited += time.perf_counter() - asked
            if isinstance(batch, Exception):
                raise batch
            recent.append(trainer.train_step(batch))
            if trainer.step % _LOG_EVERY == 0 or trainer.step == config.steps:
                seconds = time.perf_counter() - since
                report(_summary(trainer, recent, seconds, waited))
                recent, since, waited = [], time.perf_counter(), 0.0
            if trainer.step % config.checkpoint_every == 0:
                trainer.save(checkpoint)


def _summary(trainer: Trainer, losses: list[Loss], seconds: float, waited: float) -> Progress:
    def mean(name: str) -> float:
        return round(float(torch.stack([getattr(loss, name).detach() for loss in losses]).mean()), 5)

    config = trainer.config
    return Progress(
        step=trainer.step,
        steps=config.steps,
        loss=mean("total"),
        labelled=mean("labelled"),
        softmax=mean("softmax"),
        others=mean("others"),
        error_px=mean("error_px"),
        learning_rate=learning_rate(trainer.step - 1, config),
        pairs_per_s=round(len(losses) * 2 * config.items / seconds, 2),
        waiting=round(waited / seconds, 4),
    )


def _reporter(
    write: Callable[[str], object], on_progress: Callable[[Progress], None] | None
) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        write(json.dumps(asdict(progress)) + "\n")
        if on_progress is not None:
            on_progress(progress)

    return report


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, in the main thread; elsewhere signals are left alone."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {each: signal.signal(each, lambda *_: event.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
