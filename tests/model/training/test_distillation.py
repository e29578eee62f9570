from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from model.checkpoints import Weights
from model.config import NetworkConfig, Preprocessing
from model.layers import ConvLayer
from model.network import preprocess
from model.training.config import TrainingConfig
from model.training.distillation import Distillation, resampled
from model.training.objective import Maps
from model.training.teachers import Siamese
from tests.support.networks import TINY, random_network

# 4 px a cell where TINY has 8, and 12 channels: 127 -conv11/4-> 30 -> 28; 255 -> 62 -> 60; a map of 33 cells.
FINE = NetworkConfig(
    name="fine",
    layers=(ConvLayer(6, 11, stride=4), ConvLayer(12, 3, norm=False, relu=False)),
)
CONFIG = TrainingConfig(items=2)
PLAIN = Preprocessing(mean=114.0, std=58.0)
SHIFTS = torch.tensor([[0.0, 0.0], [16.0, -8.0], [-24.0, 8.0], [3.0, -5.0]])


@pytest.fixture
def crops() -> torch.Tensor:
    return torch.randint(0, 256, (4, 3, 255, 255), generator=torch.Generator().manual_seed(0)).float()


def distance(student: NetworkConfig, teacher: NetworkConfig, crops: torch.Tensor, seed: int) -> torch.Tensor:
    network = random_network(student, seed)
    distillation = Distillation(Siamese(Weights(random_network(teacher), PLAIN)), student)
    embeddings = network.embed(preprocess(crops, PLAIN))
    return distillation(crops, embeddings, Maps.of(network, embeddings, SHIFTS), SHIFTS, CONFIG)


def test_a_student_like_its_teacher_is_at_no_distance(crops: torch.Tensor) -> None:
    assert distance(TINY, TINY, crops, 0).item() == pytest.approx(0, abs=1e-4)
    assert distance(TINY, TINY, crops, 1).item() > 0.1


def test_strides_and_channels_may_differ(crops: torch.Tensor) -> None:
    for student, teacher in ((TINY, FINE), (FINE, TINY)):
        found = distance(student, teacher, crops, 1)
        assert torch.isfinite(found)
        assert found.item() > 0.1


def test_only_student_and_projection_learn(crops: torch.Tensor) -> None:
    network = random_network(TINY, 1).train().requires_grad_(True)
    teacher = random_network(FINE)
    distillation = Distillation(Siamese(Weights(teacher, PLAIN)), TINY)
    assert list(distillation.state_dict()) == ["projection.weight"]
    assert isinstance(distillation.projection, nn.Conv2d)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    distillation.train()
    embeddings = network.embed(preprocess(crops, PLAIN))
    distillation(crops, embeddings, Maps.of(network, embeddings, SHIFTS), SHIFTS, CONFIG).backward()
    assert distillation.projection.weight.grad is not None
    assert distillation.projection.weight.grad.any()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert network.embedding[0].weight.grad.any()


def test_each_part_has_its_weight(crops: torch.Tensor) -> None:
    network = random_network(TINY, 1)
    distillation = Distillation(Siamese(Weights(random_network(TINY), PLAIN)), TINY)
    embeddings = network.embed(preprocess(crops, PLAIN))
    maps = Maps.of(network, embeddings, SHIFTS)

    def found(maps_weight: float, embedding_weight: float) -> float:
        config = replace(CONFIG, distill_maps=maps_weight, distill_embedding=embedding_weight)
        return distillation(crops, embeddings, maps, SHIFTS, config).item()

    assert found(0, 0) == 0
    assert found(2, 3) == pytest.approx(2 * found(1, 0) + 3 * found(0, 1), rel=1e-5)


class Plane:
    """A teacher of embeddings alone whose value says where its cell lies, and of which view."""

    channels, stride, offset = 2, 8, -3.0
    away = 500.0
    """So that no cell's value is without a direction."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(pixels))
        place = (torch.arange(40.0) - 19.5) * self.stride + self.offset + Plane.away
        return torch.stack([place.expand(40, 40), place[:, None].expand(40, 40)]).expand(len(pixels), 2, 40, 40)

    def maps(self, embeddings: torch.Tensor, shifts: torch.Tensor) -> Maps | None:
        return None

    def place(self, device: torch.device) -> None:
        pass


@pytest.mark.parametrize("every", [1, 2])
def test_a_teacher_whose_middle_is_not_the_crops(crops: torch.Tensor, every: int) -> None:
    network, teacher = random_network(TINY), Plane()
    distillation = Distillation(teacher, TINY)
    distillation.projection = nn.Identity()
    side = TINY.embedding_size(255)
    place = (torch.arange(float(side)) - (side - 1) / 2) * TINY.stride + Plane.away
    embeddings = torch.stack([place.expand(side, side), place[:, None].expand(side, side)]).expand(4, 2, side, side)
    maps = Maps.of(network, network.embed(preprocess(crops, PLAIN)), SHIFTS)
    config = replace(CONFIG, distill_maps=0.0, distill_every=every)
    assert distillation(crops, embeddings, maps, SHIFTS, config).item() == pytest.approx(0, abs=1e-5)
    assert distillation(crops, embeddings + torch.tensor([40.0, 0.0]).view(2, 1, 1), maps, SHIFTS, config).item() > 1e-4
    assert teacher.seen == [4 // every, 4 // every]


@pytest.mark.parametrize("offset", [(0.0, 0.0), (4.0, -2.0)])
def test_values_are_read_where_the_other_grid_lies(offset: tuple[float, float]) -> None:
    # A plane is read exactly by bilinear interpolation: value = x + 10 y, in px from the middle.
    line = (torch.arange(33.0) - 16) * 4
    values = (line[None, :] + 10 * line[:, None])[None, None]
    found, inside = resampled(values, 4, 15, 8, torch.tensor([offset]))
    coarse = (torch.arange(15.0) - 7) * 8
    expected = coarse[None, :] + offset[0] + 10 * (coarse[:, None] + offset[1])
    assert inside.all()
    torch.testing.assert_close(found[0, 0], expected, rtol=1e-4, atol=1e-3)


def test_what_lies_beyond_the_grid_is_said() -> None:
    found, inside = resampled(torch.ones(1, 1, 5, 5), 8, 9, 8, torch.zeros(1, 2))
    assert inside[0].sum() == 25
    assert inside[0, 2:7, 2:7].all()
    assert torch.isfinite(found).all()
