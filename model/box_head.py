"""The box head: offset, width, height and quality of the target at every cell of the correlation map.

A SiamFC response is the sum, over the exemplar's cells, of aligned products. The head reads those summands, the *part
responses*, one channel a cell of the exemplar: they show how the target's parts move apart when it grows or turns. It
also sees what the search region looks like at each displacement, and the shape of the exemplar's own box.

Shape legend: B pairs, C embedding channels, e x e cells of the exemplar, s x s cells of the search embedding, S x S
cells of the map (S = s - e + 1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.box_reading import OUTPUTS
from model.config import NetworkConfig
from model.layers import BoxHeadConfig


def part_responses(exemplars: Tensor, searches: Tensor) -> Tensor:
    """Part responses [B, e * e, S, S] of exemplars [B, C, e, e] in searches [B, C, s, s]; their sum is the response.

    Channel i * e + j is the product of the exemplar's cell (i, j) with the search cell it lies on at each displacement.
    """
    b, c, e, _ = exemplars.shape
    side = searches.shape[-1]
    cells = side - e + 1
    products = exemplars.reshape(b, c, e * e).transpose(1, 2) @ searches.reshape(b, c, side * side)  # (B, e * e, s * s)
    maps = products.reshape(b, e * e, side, side)
    parts = [maps[:, i * e + j, i : i + cells, j : j + cells] for i in range(e) for j in range(e)]
    return torch.stack(parts, dim=1)


class BoxHead(nn.Module):
    """Reads a box and its quality at each cell. Offsets are in strides, sizes as logarithms of ratios."""

    def __init__(self, network: NetworkConfig, config: BoxHeadConfig) -> None:
        super().__init__()
        self.exemplar_size = network.exemplar_size
        side, eps = network.exemplar_side, network.norm_eps
        self.reduce = nn.Sequential(
            nn.Conv2d(network.channels, config.reduced, 1, bias=False),
            nn.BatchNorm2d(config.reduced, eps=eps),
            nn.ReLU6(inplace=True),
        )
        # The mean over the exemplar's window, to begin with.
        self.window = nn.Conv2d(config.reduced, config.reduced, side, groups=config.reduced, bias=False)
        nn.init.constant_(self.window.weight, 1 / side**2)
        self.parts_norm = nn.BatchNorm2d(side * side, eps=eps)
        width = side * side + config.reduced + 2
        layers: list[nn.Module] = []
        for index in range(config.blocks):
            given = width if index == 0 else config.channels
            layers += [
                nn.Conv2d(given, config.channels, 1, bias=False),
                nn.BatchNorm2d(config.channels, eps=eps),
                nn.ReLU6(inplace=True),
                nn.Conv2d(config.channels, config.channels, 3, padding=1, groups=config.channels, bias=False),
                nn.BatchNorm2d(config.channels, eps=eps),
                nn.ReLU6(inplace=True),
            ]
        self.blocks = nn.Sequential(*layers)
        self.out = nn.Conv2d(config.channels, OUTPUTS, 1)

    def forward(self, parts: Tensor, searches: Tensor, shapes: Tensor) -> Tensor:
        """[B, 5, S, S] of part responses [B, e * e, S, S] and searches [B, C, s, s].

        shapes: [B, 2], width and height of the exemplar's own box, in pixels of its crop.
        """
        seen = self.window(self.reduce(searches))
        planes = torch.log(shapes / self.exemplar_size)[:, :, None, None].expand(-1, -1, *parts.shape[2:])
        outputs: Tensor = self.out(self.blocks(torch.cat([self.parts_norm(parts), seen, planes], dim=1)))
        return outputs


def initialise_head(head: BoxHead, generator: torch.Generator) -> None:
    """Fresh weights: He-normal kernels, the window's mean, and outputs that say the exemplar's own box at the cell."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d) and module is not head.window and module is not head.out:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
            module.reset_running_stats()
    nn.init.normal_(head.out.weight, std=0.01, generator=generator)
    assert head.out.bias is not None
    nn.init.zeros_(head.out.bias)


def boxes_of(outputs: Tensor, shapes: Tensor, stride: int) -> Tensor:
    """Boxes [B, 4, S, S] (centre x, y from the search crop's centre, width, height, in its pixels).

    outputs: [B, 5, S, S] of a head; shapes: [B, 2] as there.
    """
    side = outputs.shape[-1]
    line = (torch.arange(side, device=outputs.device, dtype=outputs.dtype) - (side - 1) / 2) * stride
    x = line[None, None, :] + outputs[:, 0] * stride
    y = line[None, :, None] + outputs[:, 1] * stride
    sizes = shapes[:, :, None, None] * outputs[:, 2:4].clamp(-3, 3).exp()
    return torch.cat([x[:, None], y[:, None], sizes], dim=1)
