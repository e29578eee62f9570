"""The objective of networks with a box head: place, box and quality together.

Shape legend: N pairs, C channels, e x e cells of an exemplar, s x s cells of a search embedding, S x S cells of a map.
Exemplars are embedded from crops of their own, as in tracking: padded networks see the edge there.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from model.box_head import boxes_of
from model.network import SiamFC
from model.training.config import TrainingConfig
from model.training.objective import Loss, Maps, Truth, all_maps, distances, objective

_HARDEST = 16
"""Cells without the target whose quality is pushed down: the highest of a map."""
_BETA = 0.1
"""Distance, in strides and in log ratios, from which the smooth L1 loss is linear."""


def box_objective(
    network: SiamFC,
    exemplars: Tensor,
    firsts: Tensor,
    searches: Tensor,
    shapes: Tensor,
    truth: Truth,
    config: TrainingConfig,
) -> Loss:
    """The loss of exemplars [N, C, e, e] in searches [N, C, s, s], where search i shows exemplar i's target.

    firsts: [N, C, s, s], the search regions of the exemplars' own frames, target in the middle; as in tracking, the
    head's boxes are relative to what it reads there (`model.tracker.Tracker.settle`).

    The place is trained as in `objective`, on the map. At cells within `box_px` of the target the head's box is held
    to the true one by 2 (1 - IoU) and a smooth L1 distance, and its quality to the IoU that its box has; elsewhere, and
    in the search regions of other objects, quality is held to 0.
    """
    maps = Maps(all_maps(network, exemplars, searches), truth.shifts.new_zeros(truth.shifts.shape))
    loss = objective(network.config, maps, truth, config)
    parts = network.read_boxes(exemplars, searches, shapes).float() - _zeros(network, exemplars, firsts, shapes)
    distance = distances(truth.shifts, network.config.map_size, network.config.stride)
    near = distance <= config.box_px
    boxes = boxes_of(parts, shapes, network.config.stride)
    overlap = _overlap(boxes, truth)
    residual = _smooth(_residuals(parts, shapes, truth, network.config.stride)).sum(1)
    box = _mean(2 * (1 - overlap) + residual, near)
    quality = _quality_loss(parts[:, 4], overlap.detach(), near, distance > config.negative_px)
    strange = _strangers(network, exemplars, searches, shapes, truth.groups)
    total = loss.total + config.box_weight * box + config.quality_weight * (quality + strange)
    return replace(loss, total=total, box=box, quality=quality, overlap=_mean(overlap.detach(), near))


def _zeros(network: SiamFC, exemplars: Tensor, firsts: Tensor, shapes: Tensor) -> Tensor:
    """The head's numbers in the middle of the exemplars' own frames, [N, 5, 1, 1]; 0 for the quality."""
    middle = network.config.map_size // 2
    zeros = network.read_boxes(exemplars, firsts, shapes)[:, :, middle, middle, None, None].float()
    return torch.cat([zeros[:, :4], torch.zeros_like(zeros[:, 4:])], dim=1)


def _overlap(boxes: Tensor, truth: Truth) -> Tensor:
    """IoU [N, S, S] of boxes [N, 4, S, S] with the true ones."""
    assert truth.sizes is not None
    wanted = torch.cat([truth.shifts, truth.sizes], dim=1)[:, :, None, None]
    low = torch.maximum(boxes[:, :2] - boxes[:, 2:] / 2, wanted[:, :2] - wanted[:, 2:] / 2)
    high = torch.minimum(boxes[:, :2] + boxes[:, 2:] / 2, wanted[:, :2] + wanted[:, 2:] / 2)
    shared = (high - low).clamp(min=0).prod(1)
    union = boxes[:, 2:].prod(1) + wanted[:, 2:].prod(1) - shared
    return shared / union.clamp(min=1e-6)


def _residuals(parts: Tensor, shapes: Tensor, truth: Truth, stride: int) -> Tensor:
    """The head's four numbers less the true ones, [N, 4, S, S]: offsets in strides, log ratios."""
    assert truth.sizes is not None
    side = parts.shape[-1]
    line = torch.arange(side, device=parts.device) - (side - 1) / 2
    right = truth.shifts[:, 0, None, None] / stride - line[None, None, :]
    down = truth.shifts[:, 1, None, None] / stride - line[None, :, None]
    ratios = torch.log(truth.sizes / shapes)[:, :, None, None].expand(-1, -1, side, side)
    place = torch.stack([right.expand(-1, side, -1), down.expand(-1, -1, side)], dim=1)
    return parts[:, :4] - torch.cat([place, ratios], dim=1)


def _smooth(residuals: Tensor) -> Tensor:
    return F.smooth_l1_loss(residuals, torch.zeros_like(residuals), reduction="none", beta=_BETA)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over the masked cells of each map, then over the maps."""
    return ((values * mask).sum((1, 2)) / mask.sum((1, 2)).clamp(min=1)).mean()


def _quality_loss(logits: Tensor, overlap: Tensor, near: Tensor, far: Tensor) -> Tensor:
    cells = F.binary_cross_entropy_with_logits(logits, overlap * near, reduction="none")
    hardest = logits.masked_fill(~far, -torch.inf).flatten(1).topk(_HARDEST, dim=1).values
    return _mean(cells, near) + F.softplus(hardest).mean()


def _strangers(network: SiamFC, exemplars: Tensor, searches: Tensor, shapes: Tensor, groups: Tensor) -> Tensor:
    """The quality of each exemplar in the next pair's search region, where the two show different objects."""
    others = groups.roll(-1) != groups
    if not bool(others.any()):
        return shapes.new_zeros(())
    quality = network.read_boxes(exemplars, searches.roll(-1, 0), shapes)[:, 4].float()
    hardest = quality.flatten(1).topk(_HARDEST, dim=1).values[others]
    return F.softplus(hardest).mean()
