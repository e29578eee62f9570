from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.checkpoints import load_weights
from model.data.corpus import Corpus, is_held_out
from model.errors import CheckpointError, CorpusError
from model.training import loop, run
from model.training.config import TrainingConfig
from model.training.loop import Trainer
from model.training.objective import Loss
from model.training.pairs import Batch, PairSampler, Planned
from model.training.rendering import Sizes
from model.training.run import Listener, Progress, batches_of, finished, train
from model.training.validation import Validation
from tests.support.networks import TINY

CONFIG = TrainingConfig(items=2, steps=3, decay_steps=1, warmup_steps=1, ema=0.5, validate_every=0)


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "preset", lambda name: TINY)


def test_a_run_leaves_weights_that_load_and_a_log(
    corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Following clips with the real network takes its time; the tiny one's runs below do so.
    monkeypatch.setattr(run, "can_calibrate", lambda corpus: False)
    told: list[Progress] = []
    config = TrainingConfig(items=2, steps=1, decay_steps=0, validate_every=0)
    assert train(config, [corpus_folder], tmp_path / "run", device="cpu", listener=Listener(told.append))
    names = {"weights.safetensors", "last.pt", "log.jsonl", "tensorboard"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names
    weights = load_weights(tmp_path / "run" / "weights.safetensors")
    assert weights.network.config.name == "paper"
    assert weights.training["step"] == 1
    assert weights.training["config"]["items"] == 2
    (line,) = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == told[0].step == 1


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_goes_on_to_the_same_end(
    number: signal.Signals, corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(number)
    assert train(CONFIG, [corpus_folder], tmp_path / "whole", device="cpu")
    step = Trainer.train_step

    def interrupted(self: Trainer, batch: Batch) -> Loss:
        signal.raise_signal(number)
        return step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", interrupted)
        assert not train(CONFIG, [corpus_folder], tmp_path / "cut", device="cpu")
    assert torch.load(tmp_path / "cut" / "last.pt", weights_only=True)["step"] == 1
    assert train(CONFIG, [corpus_folder], tmp_path / "cut", resume=True, device="cpu")
    assert signal.getsignal(number) is handler
    whole, resumed = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "cut"))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.usefixtures("_tiny")
def test_a_finished_run_is_neither_overwritten_nor_begun_by_resuming(corpus_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no run to resume"):
        train(CONFIG, [corpus_folder], tmp_path, resume=True, device="cpu")
    assert not list(tmp_path.iterdir())
    train(CONFIG, [corpus_folder], tmp_path, device="cpu")
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(CheckpointError, match="there is a run already"):
        train(CONFIG, [corpus_folder], tmp_path, device="cpu")
    assert (tmp_path / "last.pt").read_bytes() == before


def test_a_run_without_a_corpus_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CorpusError):
        train(CONFIG, [tmp_path / "none"], tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("_tiny")
def test_a_run_validates_on_clips_it_does_not_train_on(
    corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: set[str] = set()
    plan = PairSampler.plan

    def watched(self: PairSampler, step: int, pictures: Sizes) -> Planned:
        planned = plan(self, step, pictures)
        drawn.update(f"{view.picture.image.offset}" for view in planned.views)
        return planned

    monkeypatch.setattr(PairSampler, "plan", watched)
    # At this share, one of the three ordered clips is held out.
    tracks = [track for track in Corpus(corpus_folder).tracks if track.ordered]
    share = next(share / 100 for share in range(100) if any(is_held_out(track, share / 100) for track in tracks))
    held = [track for track in tracks if is_held_out(track, share)]
    config = replace(CONFIG, steps=4, validate_every=2, track_every=4, validation_pairs=2)
    config = replace(config, held_out=share, composite_share=0.0, video_share=1.0)
    told: list[Validation] = []
    listener = Listener(on_validation=told.append)
    assert train(config, [corpus_folder], tmp_path / "run", device="cpu", listener=listener)
    assert [(each.step, each.overlap is not None) for each in told] == [(0, False), (2, False), (4, True)]
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["validation"]["step"] for line in lines if "validation" in line] == [0, 2, 4]
    assert len(held) == 1
    assert drawn
    assert not drawn & {str(frame.offset) for frame in held[0].frames}
    board = b"".join(path.read_bytes() for path in (tmp_path / "run" / "tensorboard").iterdir())
    for name in (b"train/loss", b"validation/auc", b"validation/overlap", b"exemplar_search_response"):
        assert name in board


@pytest.mark.usefixtures("_tiny")
def test_weights_say_what_they_began_with_but_not_where_it_lies() -> None:
    trainer = Trainer(replace(CONFIG, init="/somebody/s/disk/given.safetensors"), torch.device("cpu"))
    config = finished(trainer).training["config"]
    assert (config["init"], config["teacher"]) == ("given.safetensors", "")


@pytest.mark.usefixtures("_tiny")
def test_a_gpu_gets_batches_rendered_on_it(corpus: Corpus) -> None:
    trainer = Trainer(replace(CONFIG, resident_mib=8), torch.device("cpu"))
    assert isinstance(batches_of(corpus, trainer, torch.device("cpu")), PairSampler)
    # The arena's memory is asked for at once; without CUDA that is where it ends.
    if not torch.cuda.is_available():
        with pytest.raises((AssertionError, RuntimeError), match=r"CUDA|NVIDIA"):
            batches_of(corpus, trainer, torch.device("cuda"))
