"""Shape legend as in `model.training.objective`. TINY: 29 cells a view, 13 an exemplar, 17 a map, 8 px a cell."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from model.config import preset
from model.correlation import correlate_by_loop
from model.network import SiamFC
from model.training.config import TrainingConfig
from model.training.objective import Loss, Maps, Truth, all_maps, exemplar_windows, objective
from tests.support.networks import TINY, random_network

CONFIG = TrainingConfig(items=2)
GROUPS = torch.tensor([0, 0, 1, 1])


def identity_match(network: SiamFC) -> SiamFC:
    """In eval mode, so that the match norm's fresh statistics leave maps as they are but for 1e-5 of them."""
    network.match_norm = nn.BatchNorm2d(1).eval()
    return network


def marked_views(shifts: Tensor, channels: tuple[int, ...], height: float = 3.0) -> Tensor:
    """Embeddings of nothing but one cell, in one channel, where the target lies."""
    embeddings = torch.zeros(len(shifts), 8, 29, 29)
    for view, ((x, y), channel) in enumerate(zip(shifts.tolist(), channels, strict=True)):
        embeddings[view, channel, 14 + round(y / 8), 14 + round(x / 8)] = height
    return embeddings


@pytest.mark.parametrize("config", [TINY, preset("paper")], ids=lambda config: config.name)
@pytest.mark.parametrize("shift", [(0, 0), (16, -24), (-56, 64)])
def test_a_window_is_the_embedding_of_the_real_exemplar(config, shift) -> None:  # type: ignore[no-untyped-def]
    network = random_network(config)
    crop = torch.randn(1, 3, 255, 255)
    windows, residuals = exemplar_windows(network.embed(crop), torch.tensor([shift], dtype=torch.float32), config)
    x, y = 64 + shift[0], 64 + shift[1]
    expected = network.embed(crop[..., y : y + 127, x : x + 127])
    torch.testing.assert_close(windows, expected, rtol=1e-4, atol=1e-4)
    assert residuals.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("shift", "residual"),
    [
        pytest.param((3.0, -3.0), (-3, 3), id="the nearest cell is the middle one"),
        pytest.param((5.0, 20.0), (3, -4), id="to 8 and to 16, a tie to even"),
        pytest.param((90.0, -70.0), (-26, 6), id="held within 8 cells"),
    ],
)
def test_the_residual_is_what_the_cell_is_off_by(shift: tuple[float, ...], residual: tuple[float, ...]) -> None:
    windows, residuals = exemplar_windows(torch.randn(1, 8, 29, 29), torch.tensor([shift]), TINY)
    assert windows.shape == (1, 8, 13, 13)
    assert residuals.tolist() == [list(residual)]


def test_all_maps_are_every_exemplar_on_every_view() -> None:
    network = random_network(TINY)
    exemplars, embeddings = torch.randn(3, 8, 13, 13), torch.randn(3, 8, 15, 15)
    maps = all_maps(network, exemplars, embeddings)
    assert maps.shape == (3, 3, 3, 3)
    for e in range(3):
        expected = network.match_norm(correlate_by_loop(exemplars[e].expand(3, -1, -1, -1), embeddings))
        torch.testing.assert_close(maps[e], expected[:, 0], rtol=1e-4, atol=1e-4)


def loss_by(network: SiamFC, embeddings: Tensor, truth: Truth, config: TrainingConfig = CONFIG) -> Loss:
    return objective(network.config, Maps.of(network, embeddings, truth.shifts), truth, config)


def loss_of(embeddings: Tensor, shifts: Tensor, groups: Tensor = GROUPS) -> Loss:
    return loss_by(identity_match(random_network(TINY)), embeddings, truth_of(shifts, groups))


def truth_of(shifts: Tensor, groups: Tensor = GROUPS) -> Truth:
    """Labels of views at one scale."""
    return Truth.of_views(shifts, torch.zeros(len(shifts)), groups)


@pytest.mark.parametrize(
    ("difference", "label"),
    [
        pytest.param(0.0, 1.0, id="equal scales"),
        pytest.param(0.08, 0.60653, id="one tolerance apart"),  # exp(-1/2)
        pytest.param(-0.16, 0.13534, id="two the other way"),  # exp(-2)
    ],
)
def test_a_positive_label_falls_with_the_difference_of_scales(difference: float, label: float) -> None:
    # A map that says the label's logit on the target's cell and no anywhere else costs the label's own entropy there.
    scales = torch.tensor([0.0, difference, 0.0, 0.0])
    shifts = torch.zeros(4, 2)
    embeddings = marked_views(shifts, (0, 0, 1, 1))
    network = identity_match(random_network(TINY))
    same = loss_by(network, embeddings, truth_of(shifts), CONFIG)
    moved = loss_by(network, embeddings, Truth.of_views(shifts, scales, GROUPS), CONFIG)
    tolerant = loss_by(
        network, embeddings, Truth.of_views(shifts, scales, GROUPS), replace(CONFIG, scale_tolerance=0.0)
    )
    assert tolerant.labelled == same.labelled
    # BCE is linear in its label: with logit z on a positive cell it changes by z * (1 - label).
    logits = all_maps(network, *_exemplars(embeddings, shifts))
    near = (torch.arange(17)[:, None] - 8) ** 2 + (torch.arange(17)[None, :] - 8) ** 2 <= (CONFIG.positive_px / 8) ** 2
    mean = torch.stack([logits[0, 1][near].mean(), logits[1, 0][near].mean()]).sum()
    expected = same.labelled + mean * (1 - label) / 4 / 2
    torch.testing.assert_close(moved.labelled, expected, rtol=1e-4, atol=1e-4)


def _exemplars(embeddings: Tensor, shifts: Tensor) -> tuple[Tensor, Tensor]:
    return exemplar_windows(embeddings, shifts, TINY)[0], embeddings


@pytest.mark.parametrize(
    "shifts",
    [
        pytest.param([[0, 0], [0, 0], [0, 0], [0, 0]], id="in the middle"),
        pytest.param([[16, -8], [-40, 48], [0, 56], [24, 24]], id="on cells"),
        pytest.param([[3, 3], [3, 3], [-11, 5], [-11, 5]], id="off the cells, alike"),
    ],
)
def test_the_label_lies_where_the_target_is(shifts: list[list[float]]) -> None:
    places = torch.tensor(shifts, dtype=torch.float32)
    loss = loss_of(marked_views(places, (0, 0, 1, 1)), places)
    assert loss.error_px.item() == pytest.approx(0, abs=1e-4)


def test_the_error_is_the_peak_s_distance_from_the_target() -> None:
    # The marks lie where the target is not: 24 px to the right and 32 px down of it in every second view.
    true = torch.zeros(4, 2)
    marks = torch.tensor([[0.0, 0], [24, 32], [0, 0], [24, 32]])
    assert loss_of(marked_views(marks, (0, 0, 1, 1)), true).error_px.item() == pytest.approx(40)


def test_maps_of_nothing_by_hand() -> None:
    loss = loss_of(torch.zeros(4, 8, 29, 29), torch.zeros(4, 2))
    # Every logit is 0: ln 2 a cell. The softmax is over 17 * 17 cells, and over those and two foreign maps.
    softmax = math.log(289) + 0.5 * math.log(3 * 289)
    assert loss.labelled.item() == pytest.approx(math.log(2), rel=1e-5)
    assert loss.others.item() == pytest.approx(math.log(2), rel=1e-5)
    assert loss.softmax.item() == pytest.approx(softmax, rel=1e-5)
    assert loss.total.item() == pytest.approx(2 * math.log(2) + 0.5 * softmax, rel=1e-5)


def test_items_of_one_picture_are_no_negatives_of_each_other() -> None:
    shifts = torch.zeros(4, 2)
    alike = marked_views(shifts, (0, 0, 0, 0), height=4)
    apart = loss_of(alike, shifts)
    together = loss_of(alike, shifts, torch.zeros(4, dtype=torch.int64))
    # The same object in the other item's views answers as high as 16.
    assert apart.others.item() > math.log(2)
    assert together.others.item() == 0
    assert torch.isfinite(together.total)


def test_a_peak_at_the_target_costs_less_than_one_beside_it() -> None:
    true = torch.zeros(4, 2)
    there = loss_of(marked_views(true, (0, 0, 1, 1)), true)
    beside = torch.tensor([[0.0, 0], [40, 0], [0, 0], [40, 0]])
    elsewhere = loss_of(marked_views(beside, (0, 0, 1, 1)), true)
    assert there.labelled < elsewhere.labelled
    assert there.softmax < elsewhere.softmax


def test_gradients_are_finite_and_reach_every_parameter() -> None:
    network = random_network(TINY).train().requires_grad_(True)
    shifts = torch.tensor([[5.0, -9], [33, 60], [0, 0], [-60, 12]])
    loss_by(network, network.embed(torch.randn(4, 3, 255, 255)), truth_of(shifts), CONFIG).total.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if "0.bias" not in name:  # a bias before a batch norm is without effect
            assert parameter.grad.any(), name


def test_a_batch_can_be_learnt() -> None:
    network = random_network(TINY).train().requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    crops, shifts = torch.randn(4, 3, 255, 255), torch.zeros(4, 2)
    crops[1::2] = crops[::2]
    losses = []
    for _ in range(15):
        loss = loss_by(network, network.embed(crops), truth_of(shifts), CONFIG)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(loss.total.item())
    assert losses[-1] < 0.75 * losses[0]  # measured: 0.62
