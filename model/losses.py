"""The reference's loss on labelled correlation maps."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def bce_logit_loss(score_map: Tensor, label: Tensor) -> Tensor:
    """Weighted binary cross-entropy with logits, the mean over every cell (neutral ones count as 0).

    score_map: logits [B, 1, S, S]; label: [B, S, S, 2] as `model.labels.create_bce_logit_label` makes it, stacked.
    Returns a scalar. Raises ValueError where the shapes do not fit. Source: rafellerc/Pytorch-SiamFC `BCELogit_Loss`.
    """
    if label.shape != (score_map.shape[0], *score_map.shape[2:], 2):
        raise ValueError(f"a label of shape {tuple(label.shape)} does not fit maps of {tuple(score_map.shape)}")
    label = label.unsqueeze(1)
    return F.binary_cross_entropy_with_logits(score_map, label[..., 0], weight=label[..., 1], reduction="mean")
