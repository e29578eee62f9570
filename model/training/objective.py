"""The objective: every exemplar of a batch against every search region of it.

Shape legend: M = 2N views (2i and 2i + 1 show one object), C channels, s x s cells of a view's embedding, e x e cells
of an exemplar, S x S cells of a map. Because the network is unpadded, an exemplar is a window of its view's
embedding: one forward pass over the views yields exemplars and search regions alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model.config import NetworkConfig
from model.network import SiamFC
from model.training.config import TrainingConfig

_HARDEST = 16
"""Cells of another object's map that are pushed down: its highest."""


@dataclass(frozen=True, slots=True)
class Loss:
    """The parts of a step's loss, scalars.

    `error_px` is the mean distance of a map's peak from the truth; `distilled` the distance from a teacher, if any.
    With a box head: `box` and `quality`, and the mean IoU of its boxes near the target.
    """

    total: Tensor
    labelled: Tensor
    softmax: Tensor
    others: Tensor
    error_px: Tensor
    distilled: Tensor | None = None
    box: Tensor | None = None
    quality: Tensor | None = None
    overlap: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Maps:
    """A batch's logits [M exemplars, M searches, S, S] and where each exemplar's window lies from its target's centre.

    residuals: [M, 2] (x, y) in crop pixels.
    """

    logits: Tensor
    residuals: Tensor

    @classmethod
    def of(cls, network: SiamFC, embeddings: Tensor, shifts: Tensor) -> Maps:
        """Every view's exemplar in every view's search region, of embeddings [M, C, s, s]."""
        exemplars, residuals = exemplar_windows(embeddings, shifts, network.config)
        return cls(all_maps(network, exemplars, embeddings), residuals)


def exemplar_windows(embeddings: Tensor, shifts: Tensor, network: NetworkConfig) -> tuple[Tensor, Tensor]:
    """Cut each view's exemplar from its embedding, at the cell nearest to the target.

    embeddings: [M, C, s, s]; shifts: [M, 2] (x, y) in crop pixels. Returns exemplars [M, C, e, e] and the residuals
    [M, 2]: where the window's centre lies from the target's centre, in crop pixels.
    """
    size, reach = network.embedding_size(network.exemplar_size), (network.map_size - 1) / 2
    cells = torch.clamp(torch.round(shifts / network.stride), -reach, reach)
    corners = (cells + reach).long()  # (M, 2)
    line = torch.arange(size, device=embeddings.device)
    rows, columns = corners[:, 1, None, None] + line[:, None], corners[:, 0, None, None] + line
    # One gather: of a slice a view, each slice's gradient would be as large as all embeddings.
    m, channels, _, side = embeddings.shape
    places = (rows * side + columns).reshape(m, 1, -1).expand(-1, channels, -1)
    windows = embeddings.flatten(2).gather(2, places).reshape(m, channels, size, size)
    return windows, cells * network.stride - shifts


def all_maps(network: SiamFC, exemplars: Tensor, embeddings: Tensor) -> Tensor:
    """Logits [M exemplars, M searches, S, S] of every exemplar in every search region, match norm applied."""
    maps = F.conv2d(embeddings, exemplars).transpose(0, 1).float()
    m, _, side, _ = maps.shape
    normed: Tensor = network.match_norm(maps.reshape(m * m, 1, side, side))
    return normed.reshape(m, m, side, side)


@dataclass(frozen=True, slots=True)
class Truth:
    """A batch's labels: shifts [M, 2], log_scales [M] and groups [M], as in `pairs.Batch`.

    partner: [M], for each exemplar the search region that shows its target. sizes: [M, 2], the targets' width and
    height in the search regions, crop pixels, where boxes are trained.
    """

    shifts: Tensor
    log_scales: Tensor
    groups: Tensor
    partner: Tensor
    sizes: Tensor | None = None

    @classmethod
    def of_views(cls, shifts: Tensor, log_scales: Tensor, groups: Tensor) -> Truth:
        """The labels of views two by two: each is the other's partner."""
        return cls(shifts, log_scales, groups, torch.arange(len(groups), device=groups.device) ^ 1)

    @classmethod
    def of_pairs(cls, centres: Tensor, sizes: Tensor, groups: Tensor) -> Truth:
        """The labels of pairs: search region i shows exemplar i's target."""
        partner = torch.arange(len(groups), device=groups.device)
        return cls(centres, torch.zeros_like(centres[:, 0]), groups, partner, sizes)


def objective(network: NetworkConfig, maps_of: Maps, truth: Truth, config: TrainingConfig) -> Loss:
    """The loss of a batch's maps.

    Three parts. On the map of the exemplar in its partner's view: balanced binary cross-entropy with a neutral ring
    (the paper's logistic loss), its positive label the lower the more the two views' scales differ, so that the peak
    tells scales apart; and a softmax over the map's cells, once alone and once against all maps of other
    objects, towards a soft peak at the truth. On the maps of other objects: softplus of their highest cells.
    """
    maps, groups, partner = maps_of.logits, truth.groups, truth.partner
    views = torch.arange(len(maps), device=maps.device)
    own = maps[views, partner]  # (M, S, S)
    distance = distances(truth.shifts[partner] + maps_of.residuals, network.map_size, network.stride)
    labelled = _balanced_bce(own, distance, _scale_label(truth.log_scales, partner, config), config)

    target = torch.softmax(-(distance**2).flatten(1) / (2 * config.soft_px**2), dim=1)
    alone = own.flatten(1)
    foreign = groups[:, None] != groups[None, :]  # (M, M)
    others = maps.flatten(2).masked_fill(~foreign[..., None], -torch.inf)  # (M, M, S*S)
    rest = torch.cat([alone, others.flatten(1)], dim=1)
    expected = (target * alone).sum(1)
    softmax = (alone.logsumexp(1) - expected).mean() + 0.5 * (rest.logsumexp(1) - expected).mean()

    hardest = others.topk(min(_HARDEST, others.shape[-1]), dim=-1).values[foreign]
    pushed = F.softplus(hardest).mean() if len(hardest) else own.new_zeros(())
    with torch.no_grad():
        error = distance.flatten(1).gather(1, alone.argmax(1, keepdim=True)).mean()
    return Loss(labelled + 0.5 * softmax + pushed, labelled, softmax, pushed, error)


def distances(positions: Tensor, side: int, step: float) -> Tensor:
    """Distances [M, side, side] of a map's values, `step` px apart, from positions [M, 2] (x, y from its middle)."""
    line = (torch.arange(side, device=positions.device) - (side - 1) / 2) * step
    dx = line[None, None, :] - positions[:, 0, None, None]
    dy = line[None, :, None] - positions[:, 1, None, None]
    return torch.sqrt(dx**2 + dy**2)


def _scale_label(log_scales: Tensor, partner: Tensor, config: TrainingConfig) -> Tensor:
    """What a positive cell is labelled, [M]: 1 at equal scales, falling as a Gaussian of their difference."""
    if not config.scale_tolerance:
        return torch.ones_like(log_scales)
    return torch.exp(-0.5 * ((log_scales - log_scales[partner]) / config.scale_tolerance) ** 2)


def _balanced_bce(maps: Tensor, distance: Tensor, label: Tensor, config: TrainingConfig) -> Tensor:
    positive = (distance <= config.positive_px).float()
    negative = (distance > config.negative_px).float()
    cells = F.binary_cross_entropy_with_logits(maps, positive * label[:, None, None], reduction="none")
    means = [(cells * mask).sum((1, 2)) / mask.sum((1, 2)).clamp(min=1) for mask in (positive, negative)]
    return torch.stack(means).mean()
