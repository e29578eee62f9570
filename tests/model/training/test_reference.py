"""TINY: 29 cells a view, 13 an exemplar, 17 a map, 8 px a cell; upscaled 129 values, 1 px each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.labels import create_bce_logit_label
from model.losses import bce_logit_loss
from model.network import SiamFC
from model.training.config import TrainingConfig
from model.training.objective import Truth, distances
from model.training.reference import banded_label, draw_negatives, reference_objective
from tests.support.networks import TINY, random_network

CONFIG = TrainingConfig(objective="reference", items=2, positive_px=16, negative_px=24)
GROUPS = torch.tensor([0, 0, 1, 1])
NONE = torch.zeros(2, dtype=torch.bool)


def centred(groups: torch.Tensor = GROUPS) -> Truth:
    return Truth.of_views(torch.zeros(4, 2), torch.zeros(4), groups)


@pytest.mark.parametrize(("side", "step"), [(17, 8), (129, 1), (33, 4)])
def test_without_shift_the_label_is_the_reference_s(side: int, step: int) -> None:
    found = banded_label(distances(torch.zeros(1, 2), side, step), torch.tensor([False]), CONFIG)
    np.testing.assert_array_equal(found[0].numpy(), create_bce_logit_label(side, 16, 24, step))


def test_a_negative_pair_s_label_is_empty_and_counts_everywhere() -> None:
    found = banded_label(distances(torch.zeros(2, 2), 17, 8), torch.tensor([True, False]), CONFIG)
    assert found[0, ..., 0].sum() == 0
    assert (found[0, ..., 1] == 1).all()
    assert found[1, ..., 0].sum() > 0


def test_a_shift_moves_the_label() -> None:
    shifted = banded_label(distances(torch.tensor([[16.0, -24.0]]), 17, 8), torch.tensor([False]), CONFIG)
    centre = banded_label(distances(torch.zeros(1, 2), 17, 8), torch.tensor([False]), CONFIG)
    np.testing.assert_array_equal(shifted[0, 2:8, 5:15], centre[0, 5:11, 3:13])


@pytest.mark.parametrize("upscale", [False, True])
def test_the_loss_is_the_reference_s_on_real_exemplars(upscale: bool) -> None:
    network = random_network(TINY)
    crops = torch.randn(4, 3, 255, 255)
    config = replace(CONFIG, upscale=upscale)
    loss = reference_objective(network, network.embed(crops), centred(), NONE, config)
    # As the reference has it: a crop of 127 px and one of 255 px, each embedded on its own.
    maps = network(crops[::2, :, 64:191, 64:191], crops[1::2], upscale=upscale)
    label = create_bce_logit_label(maps.shape[-1], 16, 24, 1 if upscale else 8)
    expected = bce_logit_loss(maps, torch.from_numpy(np.stack([label, label])))
    torch.testing.assert_close(loss.total, expected, rtol=1e-4, atol=1e-5)
    middle = (maps.shape[-1] - 1) / 2
    peaks = [divmod(int(each.argmax()), maps.shape[-1]) for each in maps[:, 0]]
    errors = [np.hypot(y - middle, x - middle) * (1 if upscale else 8) for y, x in peaks]
    assert loss.error_px.item() == pytest.approx(np.mean(errors), rel=1e-4)


def test_a_negative_pair_s_search_region_is_the_next_item_s() -> None:
    network = random_network(TINY)
    crops = torch.randn(4, 3, 255, 255)
    embeddings = network.embed(crops)
    loss = reference_objective(network, embeddings, centred(), torch.tensor([True, False]), CONFIG)
    maps = network(crops[::2, :, 64:191, 64:191], crops[[3, 3]])
    label = torch.from_numpy(create_bce_logit_label(17, 16, 24, 8))
    empty = torch.stack([torch.zeros(17, 17), torch.ones(17, 17)], -1)
    torch.testing.assert_close(loss.total, bce_logit_loss(maps, torch.stack([empty, label])), rtol=1e-4, atol=1e-5)


def test_where_the_next_item_shows_the_same_object_no_pair_is_negative() -> None:
    network = random_network(TINY)
    embeddings = network.embed(torch.randn(4, 3, 255, 255))
    alike = centred(torch.zeros(4, dtype=torch.int64))
    wanted = torch.ones(2, dtype=torch.bool)
    first = reference_objective(network, embeddings, alike, wanted, CONFIG)
    assert torch.equal(first.total, reference_objective(network, embeddings, alike, NONE, CONFIG).total)


def test_all_pairs_negative_leave_an_error_of_zero() -> None:
    network: SiamFC = random_network(TINY)
    embeddings = network.embed(torch.randn(4, 3, 255, 255))
    loss = reference_objective(network, embeddings, centred(), torch.ones(2, dtype=torch.bool), CONFIG)
    assert loss.error_px.item() == 0
    assert torch.isfinite(loss.total)


def test_negatives_are_drawn_by_step_in_their_share() -> None:
    config = replace(CONFIG, negative_share=0.2)
    device = torch.device("cpu")
    drawn = torch.stack([draw_negatives(step, 50, config, device) for step in range(60)])
    assert drawn.float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert torch.equal(drawn[7], draw_negatives(7, 50, config, device))
    assert not torch.equal(drawn[7], drawn[8])
    assert not draw_negatives(0, 50, CONFIG, device).any()
