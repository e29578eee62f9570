"""Training labels on the correlation map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.errors import ConfigError


def create_bce_logit_label(
    label_size: int, pos_thr: float, neg_thr: float, upscale_factor: float = 4
) -> NDArray[np.float32]:
    """Labels and weights of a map whose target lies at its centre.

    `pos_thr` and `neg_thr` are distances in pixels of the search region, `upscale_factor` the pixels a cell (the
    network's stride; 1 for an upscaled map). Returns float32 [S, S, 2]: channel 0 is 1 where dist <= pos_thr,
    channel 1 (the weight) is 1 there and where dist > neg_thr, and 0 in the neutral ring between. Distances are
    Euclidean from (S - 1) / 2. Both thresholds 0 give, for even S, the label of a region without the target.
    Raises ConfigError. Source: rafellerc/Pytorch-SiamFC `create_BCELogit_loss_label`.
    """
    if label_size < 1 or upscale_factor <= 0 or pos_thr < 0 or neg_thr < pos_thr:
        raise ConfigError(
            "a label needs label_size >= 1, upscale_factor > 0 and 0 <= pos_thr <= neg_thr; "
            f"got {label_size}, {upscale_factor}, {pos_thr}, {neg_thr}"
        )
    squared = (np.arange(label_size) - (label_size - 1) / 2) ** 2
    distance = squared[:, None] + squared[None, :]
    positive = distance <= (pos_thr / upscale_factor) ** 2
    negative = distance > (neg_thr / upscale_factor) ** 2
    return np.stack([positive, positive | negative], axis=-1).astype(np.float32)
