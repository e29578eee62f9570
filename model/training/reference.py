"""The reference's objective: one exemplar, one search region, binary cross-entropy with a neutral band.

Source: rafellerc/Pytorch-SiamFC (`BCELogit_Loss`, `create_BCELogit_loss_label`). Views come two by two as everywhere
(`pairs.Batch`); the first is the exemplar, the second the search region. A negative pair's search region is the next
item's, its label empty. Shape legend: N pairs, M = 2N views, U x U values of a map, upscaled or not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.losses import bce_logit_loss
from model.network import SiamFC
from model.training.config import TrainingConfig
from model.training.objective import Loss, Truth, distances, exemplar_windows


def reference_objective(
    network: SiamFC, embeddings: Tensor, truth: Truth, negative: Tensor, config: TrainingConfig
) -> Loss:
    """The loss of a batch's view embeddings [M, C, s, s]; `negative`, bool [N]: the pairs to be mismatched.

    A pair is mismatched only where the next item shows another object. `error_px` is of the other pairs.
    """
    settings = network.config
    exemplars, residuals = exemplar_windows(embeddings, truth.shifts, settings)
    first = torch.arange(0, len(embeddings), 2, device=embeddings.device)
    following = first.roll(-1) + 1
    negative = negative & (truth.groups[first] != truth.groups[following])
    second = torch.where(negative, following, first + 1)
    with torch.autocast(embeddings.device.type, enabled=False):
        maps = network.respond(exemplars[first].float(), embeddings[second].float(), upscale=config.upscale)
    step = 1 if config.upscale else settings.stride
    distance = distances(truth.shifts[second] + residuals[first], maps.shape[-1], step)
    loss = bce_logit_loss(maps, banded_label(distance, negative, config))
    with torch.no_grad():
        peaks = maps.flatten(1).argmax(1, keepdim=True)
        errors = distance.flatten(1).gather(1, peaks)[~negative]
        error = errors.mean() if len(errors) else errors.sum()
    none = loss.new_zeros(())
    return Loss(loss, loss.detach(), none, none, error)


def banded_label(distance: Tensor, negative: Tensor, config: TrainingConfig) -> Tensor:
    """Labels and weights [N, U, U, 2] of maps with these distances [N, U, U] from the target, in crop pixels.

    Channel 0 is 1 within `positive_px`; channel 1, the weight, is 1 there and beyond `negative_px`. A negative
    pair's values are all labelled 0 with weight 1. At no shift it is `model.labels.create_bce_logit_label`.
    """
    positive = (distance <= config.positive_px) & ~negative[:, None, None]
    weight = positive | (distance > config.negative_px) | negative[:, None, None]
    return torch.stack([positive, weight], dim=-1).float()


def draw_negatives(step: int, pairs: int, config: TrainingConfig, device: torch.device) -> Tensor:
    """The negative pairs of a step, bool [pairs]; always the same for a step and seed."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    return (torch.rand(pairs, generator=generator) < config.negative_share).to(device)
