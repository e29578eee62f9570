from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.checkpoints import load_weights
from model.errors import CheckpointError, CorpusError
from model.training import loop
from model.training.config import TrainingConfig
from model.training.loop import Trainer
from model.training.pairs import Batch
from model.training.run import Progress, train
from tests.support.networks import TINY

CONFIG = TrainingConfig(items=2, steps=3, decay_steps=1, warmup_steps=1, ema=0.5)


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "preset", lambda name: TINY)


def test_a_run_leaves_weights_that_load_and_a_log(corpus_folder: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    config = TrainingConfig(items=2, steps=1, decay_steps=0)
    assert train(config, corpus_folder, tmp_path / "run", device="cpu", on_progress=told.append)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"weights.safetensors", "last.pt", "log.jsonl"}
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
    assert train(CONFIG, corpus_folder, tmp_path / "whole", device="cpu")
    step = Trainer.train_step

    def interrupted(self: Trainer, batch: Batch) -> loop.Loss:
        signal.raise_signal(number)
        return step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", interrupted)
        assert not train(CONFIG, corpus_folder, tmp_path / "cut", device="cpu")
    assert torch.load(tmp_path / "cut" / "last.pt", weights_only=True)["step"] == 1
    assert train(CONFIG, corpus_folder, tmp_path / "cut", resume=True, device="cpu")
    assert signal.getsignal(number) is handler
    whole, resumed = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "cut"))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.usefixtures("_tiny")
def test_a_finished_run_is_neither_overwritten_nor_begun_by_resuming(corpus_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no run to resume"):
        train(CONFIG, corpus_folder, tmp_path, resume=True, device="cpu")
    assert not list(tmp_path.iterdir())
    train(CONFIG, corpus_folder, tmp_path, device="cpu")
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(CheckpointError, match="there is a run already"):
        train(CONFIG, corpus_folder, tmp_path, device="cpu")
    assert (tmp_path / "last.pt").read_bytes() == before


def test_a_run_without_a_corpus_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CorpusError):
        train(CONFIG, tmp_path / "none", tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
