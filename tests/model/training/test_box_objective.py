"""Shape legend as in `model.training.box_objective`. TINY_HEAD: 16 px a cell, 13 cells a map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from model.boxes import iou
from model.data.corpus import Corpus
from model.training import box_objective as module
from model.training import loop
from model.training.box_objective import box_objective
from model.training.config import TrainingConfig
from model.training.loop import Trainer
from model.training.objective import Truth
from model.training.pairs import BoxBatch, PairSampler
from tests.support.networks import TINY_HEAD, random_network

CONFIG = TrainingConfig(preset="swift", objective="box", items=3, steps=4, decay_steps=2, warmup_steps=1, ema=0.9)


def truth_of(centres: list[list[float]], sizes: list[list[float]], groups: list[int]) -> Truth:
    return Truth.of_pairs(torch.tensor(centres), torch.tensor(sizes), torch.tensor(groups))


@pytest.fixture(scope="module")
def batch(corpus: Corpus) -> BoxBatch:
    found = PairSampler(corpus, TINY_HEAD, CONFIG).batch(0)
    assert isinstance(found, BoxBatch)
    return found


def test_a_batch_holds_first_frames_cut_as_in_tracking_and_boxes_in_the_search_regions(batch: BoxBatch) -> None:
    assert batch.firsts.shape == batch.searches.shape == (3, 255, 255, 3)
    assert (np.abs(batch.centres) <= CONFIG.augment.max_shift).all()
    # An exemplar's context square has the crop's side: sqrt((w + (w + h) / 2) (h + (w + h) / 2)) is about 127.
    margins = batch.shapes.sum(1, keepdims=True) / 2
    np.testing.assert_allclose(np.sqrt((batch.shapes + margins).prod(1)), 127, rtol=1e-5)


def test_the_overlap_is_that_of_the_boxes_module() -> None:
    """The outside oracle: `model.boxes.iou` of the same boxes."""
    rng = np.random.default_rng(5)
    found, wanted = (rng.uniform((-30, -30, 5, 5), (30, 30, 60, 60), (6, 4)) for _ in range(2))
    boxes = torch.tensor(found, dtype=torch.float32)[:, :, None, None]
    truth = truth_of(wanted[:, :2].tolist(), wanted[:, 2:].tolist(), list(range(6)))
    overlap = module._overlap(boxes, truth)[:, 0, 0].numpy()
    corners = [np.column_stack([each[:, :2] - each[:, 2:] / 2, each[:, 2:]]) for each in (found, wanted)]
    np.testing.assert_allclose(overlap, iou(corners[0], corners[1]), rtol=1e-4, atol=1e-5)


def test_a_right_box_costs_nothing_and_a_wrong_one_more_the_further_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(TINY_HEAD)
    # Relative to the first frame: what the head reads there too is no fault of the box.
    zeros = torch.tensor([0.3, -0.2, 0.1, 0.4, 5.0])[None, :, None, None].expand(2, -1, 13, 13)
    shapes = torch.tensor([[40.0, 80.0]] * 2)
    truth = truth_of([[16.0, -32.0], [0.0, 0.0]], [[40.0, 80.0], [80.0, 40.0]], [0, 1])
    exemplars, (firsts, searches) = torch.randn(2, 8, 4, 4), torch.randn(2, 2, 8, 16, 16)
    line = (torch.arange(13) - 6.0) * 16

    def outputs(off: float) -> torch.Tensor:
        """Each cell says the true box, its centre `off` strides too far right."""
        right = (truth.shifts[:, 0, None, None] - line[None, None, :]) / 16 + off
        down = (truth.shifts[:, 1, None, None] - line[None, :, None]) / 16
        assert truth.sizes is not None
        ratios = torch.log(truth.sizes / shapes)[:, :, None, None].expand(-1, -1, 13, 13)
        quality = torch.zeros(2, 13, 13)
        return torch.stack([right.expand(-1, 13, -1), down.expand(-1, -1, 13), *ratios.unbind(1), quality], 1)

    costs = []
    for off in (0.0, 0.3, 0.9):

        def read_boxes(_: Tensor, seen: Tensor, __: Tensor, off: float = off) -> Tensor:
            own = outputs(off)
            own[:, :4] += zeros[:, :4]
            return zeros if seen is firsts else own

        monkeypatch.setattr(network, "read_boxes", read_boxes)
        loss = box_objective(network, exemplars, firsts, searches, shapes, truth, CONFIG)
        assert loss.box is not None
        costs.append(float(loss.box))
    assert costs[0] == pytest.approx(0, abs=1e-5)
    assert costs[0] < costs[1] < costs[2]


@pytest.mark.parametrize(
    ("groups", "pushed"),
    [pytest.param([0, 1], True, id="other objects"), pytest.param([4, 4], False, id="one object twice")],
)
def test_quality_is_pushed_down_in_other_objects_search_regions_alone(groups: list[int], pushed: bool) -> None:
    network = random_network(TINY_HEAD)
    exemplars, searches = torch.randn(2, 8, 4, 4), torch.randn(2, 8, 16, 16)
    found = module._strangers(network, exemplars, searches, torch.full((2, 2), 60.0), torch.tensor(groups))
    assert (float(found) > 0) is pushed


def test_a_few_steps_lower_the_loss(batch: BoxBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "preset", lambda name: TINY_HEAD)
    trainer = Trainer(replace(CONFIG, steps=40, decay_steps=0, learning_rate=3e-3), torch.device("cpu"))
    losses = [float(trainer.train_step(batch).total.detach()) for _ in range(25)]
    assert losses[-1] < 0.8 * losses[0]


def test_a_resumed_run_ends_as_an_uninterrupted_one(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "preset", lambda name: TINY_HEAD)
    config = replace(CONFIG, freeze=1, trunk_rate=0.1)
    batches = [PairSampler(corpus, TINY_HEAD, config).batch(step) for step in range(4)]
    whole = Trainer(config, torch.device("cpu"))
    for index, each in enumerate(batches):
        whole.train_step(each)
        if index == 1:
            whole.save(tmp_path / "last.pt")
    resumed = Trainer(replace(config, seed=99), torch.device("cpu"))
    resumed.load(tmp_path / "last.pt")
    for each in batches[2:]:
        resumed.train_step(each)
    first, second = whole.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(whole.average[name], resumed.average[name]) for name in first)
