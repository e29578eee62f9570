"""What every runtime gives: crops in, embeddings out."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Runtime = Literal["torch", "openvino"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
Pixels = NDArray[np.uint8]


class Embedder(Protocol):
    """The embedding network, ready to run. Use it from one thread at a time."""

    def __call__(self, crops: Pixels) -> Tensor:
        """Embeddings [B, C, s, s], floating point, on the device, of crops uint8 [B, side, side, 3] RGB.

        They may lie in memory that the next call overwrites.
        """
