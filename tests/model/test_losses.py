from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.labels import create_bce_logit_label
from model.losses import bce_logit_loss


def test_by_hand() -> None:
    # sigmoid(0) = 1/2, sigmoid(ln 3) = 3/4, sigmoid(-ln 3) = 1/4.
    logits = torch.tensor([[0.0, math.log(3)], [-math.log(3), 5.0]]).reshape(1, 1, 2, 2)
    label = torch.tensor([[[1.0, 1], [1, 1]], [[0, 1], [0, 0]]])[None]
    # Losses ln 2, ln 4/3, ln 4/3; the neutral fourth cell adds nothing but counts.
    expected = (math.log(2) + 2 * math.log(4 / 3)) / 4
    assert bce_logit_loss(logits, label).item() == pytest.approx(expected, rel=1e-6)


def test_a_neutral_cell_has_no_gradient() -> None:
    logits = torch.zeros(1, 1, 1, 2, requires_grad=True)
    bce_logit_loss(logits, torch.tensor([[[[1.0, 1], [0, 0]]]])).backward()
    # d/dx of -ln sigmoid(x) at 0 is -1/2, halved by the mean of two cells.
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == [-0.25, 0.0]


def test_equals_the_obvious_loop() -> None:
    logits = torch.randn(3, 1, 9, 9, dtype=torch.float64) * 4
    label = np.stack([create_bce_logit_label(9, positive, 12) for positive in (4, 8, 12)])
    total = 0.0
    for n in range(3):
        for i in range(9):
            for j in range(9):
                target, weight = label[n, i, j].tolist()
                p = 1 / (1 + math.exp(-logits[n, 0, i, j].item()))
                total -= weight * (target * math.log(p) + (1 - target) * math.log(1 - p))
    loss = bce_logit_loss(logits, torch.from_numpy(label).double())
    assert loss.item() == pytest.approx(total / (3 * 81), rel=1e-9)


def test_huge_logits_stay_finite() -> None:
    logits = torch.full((1, 1, 2, 2), 1e4)
    assert bce_logit_loss(logits, torch.tensor([0.0, 1.0]).expand(1, 2, 2, 2)).item() == pytest.approx(1e4)


@pytest.mark.parametrize("shape", [(2, 5, 5, 2), (1, 4, 5, 2), (1, 5, 5, 1), (5, 5, 2)])
def test_a_label_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        bce_logit_loss(torch.zeros(1, 1, 5, 5), torch.zeros(shape))
