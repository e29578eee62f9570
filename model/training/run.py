"""A whole training run: corpus in, checkpoints, a log and a weights file out."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from model.arrays import RgbImage
from model.checkpoints import Weights, find_weights, save_weights
from model.config import TrackerConfig
from model.data.corpus import Corpus
from model.errors import CheckpointError
from model.inference.devices import choose_device
from model.inference.loading import load_predictor
from model.training.calibration import can_calibrate, fit, gather
from model.training.config import TrainingConfig
from model.training.device_rendering import DeviceBatches
from model.training.loop import Batches, Trainer, learning_rate, prefetched
from model.training.objective import Loss
from model.training.pairs import PairSampler
from model.training.tensorboard import Board, beside, tensorboard
from model.training.validation import Validation, Validator

CHECKPOINT, LOG, WEIGHTS, BOARD = "last.pt", "log.jsonl", "weights.safetensors", "tensorboard"
_LOG_EVERY = 20
_COUNTS = ("step", "steps")
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
    distilled: float
    box: float
    quality: float
    overlap: float
    error_px: float
    learning_rate: float
    pairs_per_s: float
    waiting: float


@dataclass(frozen=True, slots=True)
class Listener:
    """Takes a run's progress and validations, and the reasons why clips of the corpus are skipped."""

    on_progress: Callable[[Progress], None] | None = None
    on_validation: Callable[[Validation], None] | None = None
    on_skipped: Callable[[Sequence[str]], None] | None = None


def train(
    config: TrainingConfig,
    corpora: Sequence[Path],
    out: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    listener: Listener | None = None,
) -> bool:
    """Train, and write `weights.safetensors`, `last.pt`, `log.jsonl` and TensorBoard's files into `out`.

    A complete run's score is fitted on the corpus's ordered clips, if it has any two.
    Interrupted (SIGINT, SIGTERM), it finishes the step, writes a checkpoint and returns False; `resume` goes on from
    there, and ends with the numbers an uninterrupted run has on the same machine. Raises ConfigError, CorpusError,
    CheckpointError (a run is there and `resume` is not asked for, or the reverse), FloatingPointError.
    """
    chosen = choose_device(device)
    checkpoint = out / CHECKPOINT
    _check_resume(checkpoint, resume)
    data = Corpus(*corpora)
    if data.skipped and listener is not None and listener.on_skipped is not None:
        listener.on_skipped(data.skipped)
    rest, held = data.divided(config.held_out)
    if config.threads:
        torch.set_num_threads(config.threads)
    trainer = Trainer(config, chosen)
    if resume:
        trainer.load(checkpoint)
    elif config.init:
        trainer.start_from(find_weights(Path(config.init)))
    sampler = batches_of(rest, trainer, chosen)
    validator = Validator(data, held, trainer.network.config, config)
    out.mkdir(parents=True, exist_ok=True)
    with (
        _interruptible() as interrupted,
        (out / LOG).open("a", buffering=1, encoding="utf-8") as log,
        tensorboard(out / BOARD, trainer.step) as board,
    ):
        reporter = Reporter(log.write, board, listener or Listener())
        _steps(_Run(trainer, sampler, validator, checkpoint, str(chosen)), interrupted, reporter)
        trainer.save(checkpoint)
    complete = trainer.step >= config.steps
    weights = finished(trainer)
    # Training clips make the score too sure of itself, but are better than none.
    tracks = held if can_calibrate(held) else data.tracks
    if complete and can_calibrate(tracks):
        evidence = gather(load_predictor(weights, device=device), data, tracks, _CALIBRATION_FRAMES)
        weights = replace(weights, calibration=fit(evidence))
    save_weights(out / WEIGHTS, weights)
    return complete


def _check_resume(checkpoint: Path, resume: bool) -> None:
    """Raises CheckpointError where a run is there and is not to be resumed, or the reverse."""
    if checkpoint.exists() and not resume:
        raise CheckpointError(f"{checkpoint}: there is a run already; resume it, or choose another folder")
    if resume and not checkpoint.exists():
        raise CheckpointError(f"{checkpoint}: there is no run to resume")


def batches_of(corpus: Corpus, trainer: Trainer, device: torch.device) -> Batches:
    """The corpus's batches, rendered on the device where that is a GPU."""
    sampler = PairSampler(corpus, trainer.network.config, trainer.config)
    return sampler if device.type == "cpu" else DeviceBatches(corpus, sampler, device, trainer.config)


def finished(trainer: Trainer) -> Weights:
    """The run's weights: the averaged network, and how it was trained; of other weights' files, the names alone."""
    config = trainer.config
    names = {name: Path(getattr(config, name)).name for name in ("init", "teacher", "trunk")}
    facts = {"step": trainer.step, "config": config.as_dict() | names}
    network = trainer.averaged()
    return Weights(network, trainer.preprocessing, TrackerConfig.of(network.config), training=facts)


@dataclass(frozen=True, slots=True)
class _Run:
    trainer: Trainer
    sampler: Batches
    validator: Validator
    checkpoint: Path
    device: str


def _steps(run: _Run, interrupted: threading.Event, reporter: Reporter) -> None:
    trainer, config = run.trainer, run.trainer.config
    if trainer.step == 0:
        _validate(run, reporter)
    recent: list[Loss] = []
    since, waited = time.perf_counter(), 0.0
    with prefetched(run.sampler, range(trainer.step, config.steps)) as batches:
        while trainer.step < config.steps and not interrupted.is_set():
            asked = time.perf_counter()
            batch = batches.get()
            waited += time.perf_counter() - asked
            if isinstance(batch, Exception):
                raise batch
            recent.append(trainer.train_step(batch))
            if trainer.step % _LOG_EVERY == 0 or trainer.step == config.steps:
                reporter.progress(_summary(trainer, recent, time.perf_counter() - since, waited))
                recent, since, waited = [], time.perf_counter(), 0.0
            begun = time.perf_counter()
            if _due(trainer, config.validate_every) and not interrupted.is_set():
                _validate(run, reporter)
            if _due(trainer, config.checkpoint_every):
                trainer.save(run.checkpoint)
            # Validation and checkpoint are no part of a step's time.
            since += time.perf_counter() - begun
    if trainer.step == config.steps and not _due(trainer, config.validate_every):
        _validate(run, reporter)


def _due(trainer: Trainer, every: int) -> bool:
    return every > 0 and trainer.step > 0 and trainer.step % every == 0


def _validate(run: _Run, reporter: Reporter) -> None:
    trainer = run.trainer
    if not run.validator or not trainer.config.validate_every:
        return
    weights = finished(trainer)
    track = _due(trainer, trainer.config.track_every)
    reporter.validation(run.validator(weights, trainer.step, run.device, track=track))
    reporter.example(trainer.step, beside(*run.validator.example(weights, run.device)))


def _summary(trainer: Trainer, losses: list[Loss], seconds: float, waited: float) -> Progress:
    def mean(name: str) -> float:
        values = [getattr(loss, name) for loss in losses]
        return 0.0 if None in values else round(float(torch.stack([value.detach() for value in values]).mean()), 5)

    config = trainer.config
    return Progress(
        step=trainer.step,
        steps=config.steps,
        loss=mean("total"),
        labelled=mean("labelled"),
        softmax=mean("softmax"),
        others=mean("others"),
        distilled=mean("distilled"),
        box=mean("box"),
        quality=mean("quality"),
        overlap=mean("overlap"),
        error_px=mean("error_px"),
        learning_rate=learning_rate(trainer.step - 1, config),
        pairs_per_s=round(len(losses) * pairs_a_step(config) / seconds, 2),
        waiting=round(waited / seconds, 4),
    )


def pairs_a_step(config: TrainingConfig) -> int:
    """Directed pairs of an exemplar and the search region that shows its target (or, negative, another's)."""
    return config.items if config.objective == "reference" else 2 * config.items


class Reporter:
    """Writes progress and validations to the log and the board, and tells the listener."""

    def __init__(self, write: Callable[[str], object], board: Board, listener: Listener) -> None:
        self._write, self._board, self._listener = write, board, listener

    def progress(self, progress: Progress) -> None:
        values = asdict(progress)
        self._write(json.dumps(values) + "\n")
        self._board.scalars(progress.step, {f"train/{name}": values[name] for name in values if name not in _COUNTS})
        if self._listener.on_progress is not None:
            self._listener.on_progress(progress)

    def validation(self, validation: Validation) -> None:
        values = {name: value for name, value in asdict(validation).items() if value is not None}
        self._write(json.dumps({"validation": values}) + "\n")
        self._board.scalars(
            validation.step, {f"validation/{name}": values[name] for name in values if name not in _COUNTS}
        )
        if self._listener.on_validation is not None:
            self._listener.on_validation(validation)

    def example(self, step: int, pixels: RgbImage) -> None:
        self._board.picture(step, "validation/exemplar_search_response", pixels)


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
