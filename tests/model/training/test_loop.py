from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from model import checkpoints
from model.checkpoints import Weights, save_weights
from model.config import NetworkConfig, Preprocessing, preset
from model.data.corpus import Corpus
from model.errors import CheckpointError
from model.layers import ConvLayer
from model.training import loop
from model.training.config import TrainingConfig
from model.training.loop import PREPROCESSING, Trainer, learning_rate, prefetched
from model.training.objective import Loss, objective
from model.training.pairs import Batch, PairSampler
from model.training.teachers import Siamese
from tests.support.networks import TINY, random_network, random_weights

CONFIG = TrainingConfig(items=2, steps=4, decay_steps=2, warmup_steps=1, ema=0.9)
CPU = torch.device("cpu")


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every preset is the tiny network."""
    monkeypatch.setattr(loop, "preset", lambda name: TINY)


@pytest.fixture(scope="module")
def batches(corpus: Corpus) -> list[Batch]:
    sampler = PairSampler(corpus, TINY, CONFIG)
    return [sampler.batch(step) for step in range(4)]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        pytest.param(0, 0.1, id="the first of ten warming up"),
        pytest.param(4, 0.5, id="half warm"),
        pytest.param(9, 1.0, id="warm"),
        pytest.param(60, 1.0, id="the last before the decay"),
        pytest.param(70, (1 + 2**-0.5) / 2, id="a quarter down: cos 45°"),
        pytest.param(80, 0.5, id="half down"),
        pytest.param(99, 0.005, id="never below the floor"),
    ],
)
def test_learning_rate_by_hand(step: int, expected: float) -> None:
    config = TrainingConfig(steps=100, warmup_steps=10, decay_steps=40, learning_rate=2.0)
    assert learning_rate(step, config) == pytest.approx(2 * expected)


def test_without_decay_the_rate_stays() -> None:
    config = TrainingConfig(steps=100, warmup_steps=0, decay_steps=0, learning_rate=1.0)
    assert {learning_rate(step, config) for step in range(100)} == {1.0}


@pytest.mark.usefixtures("_tiny")
def test_a_resumed_run_ends_as_an_uninterrupted_one(batches: list[Batch], tmp_path: Path) -> None:
    whole = Trainer(CONFIG, CPU)
    for index, batch in enumerate(batches):
        whole.train_step(batch)
        if index == 1:
            whole.save(tmp_path / "last.pt")
    resumed = Trainer(replace(CONFIG, seed=99), CPU)
    resumed.load(tmp_path / "last.pt")
    assert resumed.step == 2
    for batch in batches[2:]:
        resumed.train_step(batch)
    assert resumed.step == whole.step == 4
    for kind in ("network", "average"):
        states = [getattr(trainer, kind) for trainer in (whole, resumed)]
        first, second = (state if isinstance(state, dict) else state.state_dict() for state in states)
        assert all(torch.equal(first[name], second[name]) for name in first), kind


VARIANTS = {
    "the default": CONFIG,
    "the reference's objective": replace(
        CONFIG, objective="reference", upscale=True, negative_share=0.5, optimizer="sgd", ema=0.0
    ),
    "with a teacher": replace(CONFIG, teacher="teacher.safetensors", freeze=1),
}


@pytest.fixture
def _teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """The teacher is another network with twice the cells, half the pixels each, and more channels."""
    layers = (ConvLayer(6, 11, stride=4), ConvLayer(12, 3, norm=False, relu=False))
    weights = Weights(random_network(NetworkConfig("fine", layers)), PREPROCESSING)
    monkeypatch.setattr(loop, "load_teacher", lambda path: Siamese(weights))


@pytest.mark.usefixtures("_tiny", "_teacher")
@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(
    config: TrainingConfig, batches: list[Batch], tmp_path: Path
) -> None:
    whole = Trainer(config, CPU)
    for index, batch in enumerate(batches):
        whole.train_step(batch)
        if index == 1:
            whole.save(tmp_path / "last.pt")
    # Other draws of the global random generators have no effect.
    torch.manual_seed(12345)
    resumed = Trainer(config, CPU)
    resumed.load(tmp_path / "last.pt")
    torch.rand(10)
    for batch in batches[2:]:
        resumed.train_step(batch)
    resumed.save(tmp_path / "resumed.pt")
    whole.save(tmp_path / "whole.pt")
    first, second = (torch.load(tmp_path / name, weights_only=True) for name in ("whole.pt", "resumed.pt"))
    assert first.keys() == second.keys()
    assert _same(first, second)
    assert first["step"] == 4


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(_same, first, second))
    return bool(first == second)


@pytest.mark.usefixtures("_tiny", "_teacher")
def test_what_is_frozen_stays_and_a_projection_learns(batches: list[Batch]) -> None:
    trainer = Trainer(VARIANTS["with a teacher"], CPU)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    assert trainer.distillation is not None
    projection = trainer.distillation.state_dict()["projection.weight"].clone()
    loss = trainer.train_step(batches[0])
    assert loss.distilled is not None
    assert loss.distilled > 0
    assert not torch.equal(trainer.distillation.state_dict()["projection.weight"], projection)
    after = trainer.network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "embedding.0.weight" not in changed
    assert "embedding.1.running_mean" not in changed
    assert "embedding.4.weight" in changed


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"optimizer": "sgd"}, "made with optimizer 'adamw'; this run has 'sgd'"),
        ({"objective": "reference"}, "made with objective 'batch'"),
        ({"freeze": 1}, "made with freeze 0"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(*value),
)
@pytest.mark.usefixtures("_tiny")
def test_what_a_resumed_run_cannot_change(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    Trainer(CONFIG, CPU).save(tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=reason):
        Trainer(replace(CONFIG, **changes), CPU).load(tmp_path / "last.pt")
    Trainer(replace(CONFIG, learning_rate=0.5, steps=9), CPU).load(tmp_path / "last.pt")


@pytest.mark.usefixtures("_tiny")
def test_a_run_can_begin_with_given_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "preset", lambda name: {"tiny": TINY}.get(name) or preset(name))
    given = Weights(random_network(TINY, 5), Preprocessing("bgr", 1.0, 2.0))
    save_weights(tmp_path / "given.safetensors", given, dtype=torch.float32)
    trainer = Trainer(CONFIG, CPU)
    trainer.start_from(tmp_path / "given.safetensors")
    assert trainer.preprocessing == given.preprocessing
    for name, value in given.network.state_dict().items():
        assert torch.equal(trainer.network.state_dict()[name], value)
        assert torch.equal(trainer.average[name], value)
    # Its preprocessing outlives an interruption.
    trainer.save(tmp_path / "last.pt")
    resumed = Trainer(CONFIG, CPU)
    resumed.load(tmp_path / "last.pt")
    assert resumed.preprocessing == given.preprocessing


@pytest.mark.usefixtures("_tiny")
def test_weights_of_another_network_are_no_beginning(tmp_path: Path) -> None:
    save_weights(tmp_path / "vgg.safetensors", random_weights("vgg11_5c"))
    with pytest.raises(CheckpointError, match="holds a vgg11_5c network; this run trains paper, which does not begin"):
        Trainer(CONFIG, CPU).start_from(tmp_path / "vgg.safetensors")


def test_another_preset_gives_the_convolutions_that_both_begin_with(tmp_path: Path) -> None:
    given = random_weights("paper", seed=5)
    save_weights(tmp_path / "paper.safetensors", given, dtype=torch.float32)
    trainer = Trainer(replace(CONFIG, preset="baseline"), CPU)
    fresh = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.start_from(tmp_path / "paper.safetensors")
    taken, theirs = trainer.network.state_dict(), given.network.state_dict()
    # The last convolution has 32 channels here and 256 there; the match norm is each network's own.
    own = ("embedding.14.", "match_norm.")
    for name, value in taken.items():
        assert torch.equal(value, (fresh if name.startswith(own) else theirs)[name]), name
        assert torch.equal(trainer.average[name], value), name
    assert trainer.preprocessing == given.preprocessing


@pytest.mark.usefixtures("_tiny")
def test_runs_of_one_seed_are_the_same(batches: list[Batch]) -> None:
    losses = []
    for seed in (1, 1, 2):
        trainer = Trainer(replace(CONFIG, seed=seed), CPU)
        losses.append([trainer.train_step(batch).total.item() for batch in batches[:2]])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.mark.usefixtures("_tiny")
def test_the_average_by_hand(batches: list[Batch]) -> None:
    trainer = Trainer(CONFIG, CPU)
    name = "embedding.0.weight"
    start = trainer.network.state_dict()[name].clone()
    trainer.train_step(batches[0])
    moved = trainer.network.state_dict()[name]
    # The first step's decay is min(0.9, 1 / 10).
    torch.testing.assert_close(trainer.average[name], 0.1 * start + 0.9 * moved)
    torch.testing.assert_close(trainer.averaged().state_dict()[name], trainer.average[name])
    assert not trainer.averaged().training


@pytest.mark.usefixtures("_tiny")
def test_without_an_average_the_weights_themselves_are_kept(batches: list[Batch]) -> None:
    trainer = Trainer(replace(CONFIG, ema=0.0), CPU)
    trainer.train_step(batches[0])
    name = "embedding.0.weight"
    assert torch.equal(trainer.averaged().state_dict()[name], trainer.network.state_dict()[name])


@pytest.mark.usefixtures("_tiny")
def test_a_loss_that_is_not_finite_stops_the_run_before_it_harms(
    batches: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(CONFIG, CPU)
    before = {name: value.clone() for name, value in trainer.network.named_parameters()}

    def broken(*arguments: Any) -> Loss:
        loss = objective(*arguments)
        return replace(loss, total=loss.total * torch.nan)

    monkeypatch.setattr(loop, "objective", broken)
    with pytest.raises(FloatingPointError, match="nan at step 0"):
        trainer.train_step(batches[0])
    assert trainer.step == 0
    assert all(torch.equal(before[name], value) for name, value in trainer.network.named_parameters())


def test_the_real_network_takes_a_step(batches: list[Batch]) -> None:
    trainer = Trainer(CONFIG, CPU)
    loss = trainer.train_step(batches[0])
    assert trainer.network.config == preset("paper")
    assert torch.isfinite(loss.total)
    assert 0 <= loss.error_px.item() <= 200


@pytest.mark.usefixtures("_tiny")
def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    Trainer(CONFIG, CPU).save(path)
    with pytest.raises(CheckpointError, match="holds a paper network; this run trains baseline"):
        Trainer(replace(CONFIG, preset="baseline"), CPU).load(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="cannot be read"):
        Trainer(CONFIG, CPU).load(path)
    with pytest.raises(CheckpointError, match=r"none\.pt"):
        Trainer(CONFIG, CPU).load(tmp_path / "none.pt")


def _with(**values: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {**state, **values}


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda _: {}, "without config, step, network, average, optimizer", id="empty"),
        pytest.param(lambda _: [1], "without config", id="a list"),
        pytest.param(lambda state: {"config": state["config"]}, "without step, network", id="its settings alone"),
        pytest.param(_with(config={}), "without a preset", id="no preset"),
        pytest.param(_with(network={}), "does not fit this run", id="no network"),
        pytest.param(_with(optimizer={"state": {}, "param_groups": []}), "does not fit this run", id="no optimizer"),
        pytest.param(_with(average={}), "does not fit this run", id="no average"),
    ],
)
def test_a_partial_checkpoint_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], Any], reason: str) -> None:
    path = tmp_path / "last.pt"
    Trainer(CONFIG, CPU).save(path)
    torch.save(change(torch.load(path, weights_only=True)), path)
    with pytest.raises(CheckpointError, match=reason) as caught:
        Trainer(CONFIG, CPU).load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("_tiny")
def test_a_checkpoint_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    trainer = Trainer(CONFIG, CPU)
    trainer.save(path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        trainer.save(path)
    assert path.read_bytes() == before


class Counting:
    """A sampler whose batches are their step's number."""

    def __init__(self, broken: int = -1) -> None:
        self.broken = broken

    def batch(self, step: int) -> int:
        if step == self.broken:
            raise ValueError(f"step {step}")
        return step


def test_batches_come_in_order() -> None:
    with prefetched(Counting(), range(3, 12)) as queue:  # type: ignore[arg-type]
        assert [queue.get(timeout=10) for _ in range(9)] == list(range(3, 12))


def test_an_error_of_the_sampler_reaches_the_loop() -> None:
    with prefetched(Counting(broken=1), range(5)) as queue:  # type: ignore[arg-type]
        assert queue.get(timeout=10) == 0
        error = queue.get(timeout=10)
    assert isinstance(error, ValueError)


def test_the_thread_ends_with_the_loop_however_much_is_left() -> None:
    before = threading.active_count()
    with prefetched(Counting(), range(10**9)) as queue:  # type: ignore[arg-type]
        queue.get(timeout=10)
    assert threading.active_count() == before
