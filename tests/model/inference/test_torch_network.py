from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from model.checkpoints import Weights
from model.config import Preprocessing
from model.inference.torch_network import TorchNetwork
from tests.support.networks import TINY, random_network

NETWORK = random_network(TINY)


@pytest.mark.parametrize(
    ("precision", "dtype", "tolerance"), [("fp32", torch.float32, 1e-4), ("bf16", torch.bfloat16, 0.03)]
)
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_equals_the_network_on_preprocessed_crops(
    precision: Any, dtype: torch.dtype, tolerance: float, order: Any, rng: np.random.Generator
) -> None:
    crops = rng.integers(0, 256, (2, 63, 63, 3), np.uint8)
    weights = Weights(NETWORK, Preprocessing(order, 114.0, 58.0))
    embedded = TorchNetwork(weights, torch.device("cpu"), precision).embed_crops(crops)
    ordered = crops if order == "rgb" else np.ascontiguousarray(crops[..., ::-1])
    expected = NETWORK.embed((torch.from_numpy(ordered).permute(0, 3, 1, 2).float() - 114) / 58)
    assert embedded.dtype == dtype
    assert (embedded.float() - expected).abs().max() < tolerance * expected.abs().max()
