"""The embedding as plain arrays, batch norms folded, for another runtime.

Shape legend: O output channels, I input channels, g groups, k x k kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn

from model.arrays import Float32
from model.config import Preprocessing
from model.network import SiamFC, fold_norms


@dataclass(frozen=True, slots=True, eq=False)
class FoldedLayer:
    """An unpadded convolution and what follows it: a ReLU, a max pooling (kernel, stride), or neither.

    weight: float32 [O, I / g, k, k]; bias: float32 [O]. pedestal: subtracted from every input before it is multiplied.
    spread: (mean, deviation) of the batch norm's outputs over the training data, float32 [O] each; None without a norm.
    """

    weight: Float32
    bias: Float32
    stride: int
    groups: int
    relu: bool = False
    pool: tuple[int, int] | None = None
    pedestal: float = 0.0
    spread: tuple[Float32, Float32] | None = None


def folded_layers(network: SiamFC, preprocessing: Preprocessing) -> tuple[FoldedLayer, ...]:
    """The layers of a network in eval mode, batch norms folded, for raw pixels 0..255 in R, G, B order.

    As nothing is padded, the preprocessing is part of the first convolution: its scale and channel order in the
    weights, its mean as the pedestal.
    """
    folded = iter([module for module in fold_norms(network).embedding if isinstance(module, nn.Conv2d)])
    layers: list[dict[str, object]] = []
    for module in network.embedding:
        if isinstance(module, nn.Conv2d):
            convolution = next(folded)
            assert convolution.bias is not None
            layers.append(
                {
                    "weight": convolution.weight.detach().numpy(),
                    "bias": convolution.bias.detach().numpy(),
                    "stride": int(module.stride[0]),
                    "groups": module.groups,
                }
            )
        elif isinstance(module, nn.BatchNorm2d):
            layers[-1]["spread"] = module.bias.detach().numpy(), np.abs(module.weight.detach().numpy())
        elif isinstance(module, nn.ReLU):
            layers[-1]["relu"] = True
        else:
            assert isinstance(module, nn.MaxPool2d)
            layers[-1]["pool"] = module.kernel_size, module.stride
    first = layers[0]
    weight = np.asarray(first["weight"])
    ordered = weight[:, ::-1] if preprocessing.order == "bgr" else weight
    scaled = np.ascontiguousarray(ordered / np.float32(preprocessing.std))
    first |= {"weight": scaled, "pedestal": preprocessing.mean}
    return tuple(FoldedLayer(**layer) for layer in layers)  # type: ignore[arg-type]
