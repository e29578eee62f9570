"""The fully-convolutional Siamese network.

Shape legend: B crops or pairs, C embedding channels; a crop is [B, 3, side, side] (127 exemplar, 255 search), its
embedding [B, C, s, s], the correlation map [B, 1, S, S]. Nothing is padded, so the embedding of the central 127 px
of a 255 px crop is the centre of that crop's embedding.
"""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model.box_head import BoxHead, initialise_head, part_responses
from model.config import NetworkConfig, Preprocessing
from model.correlation import match_corr
from model.layers import BottleneckLayer, ConvLayer, Layer, PoolLayer


class SiamFC(nn.Module):
    """One embedding for both branches, correlation, match batch norm. Source: Bertinetto et al. 2016, section 2."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = _embedding(config)
        self.match_norm: nn.Module = nn.BatchNorm2d(1)
        self.head = None if config.head is None else BoxHead(config, config.head)

    def embed(self, crops: Tensor) -> Tensor:
        """Embeddings [B, C, s, s] of preprocessed crops [B, 3, side, side]."""
        embeddings: Tensor = self.embedding(crops)
        return embeddings

    def embed_exemplars(self, crops: Tensor) -> Tensor:
        """Exemplar embeddings [B, C, e, e] of preprocessed crops [B, 3, 127, 127]: the middle cells, or all of them."""
        embeddings = self.embed(crops)
        return middle(embeddings, self.config.exemplar_cells or embeddings.shape[-1])

    def read_boxes(self, exemplars: Tensor, searches: Tensor, shapes: Tensor) -> Tensor:
        """The head's outputs [B, 5, S, S] (`model.box_head`); `shapes` [B, 2] of the exemplars' boxes, crop pixels."""
        assert self.head is not None
        outputs: Tensor = self.head(part_responses(exemplars, searches), searches, shapes)
        return outputs

    def respond(self, exemplars: Tensor, searches: Tensor, *, upscale: bool = False) -> Tensor:
        """Logits [B, 1, S, S] of exemplar embeddings against search embeddings; S upscaled if asked."""
        return match_corr(exemplars, searches, self.match_norm, self.config.upscaled_size if upscale else None)

    def forward(self, exemplar_crops: Tensor, search_crops: Tensor, *, upscale: bool = False) -> Tensor:
        """Logits of preprocessed crops [B, 3, 127, 127] and [B, 3, 255, 255]."""
        return self.respond(self.embed_exemplars(exemplar_crops), self.embed(search_crops), upscale=upscale)


def _embedding(config: NetworkConfig) -> nn.Sequential:
    if config.neck:
        return TrunkAndNeck(config)
    modules: list[nn.Module] = []
    channels = 3
    for layer in config.layers:
        modules += _modules(layer, channels, config.norm_eps)
        channels = channels if isinstance(layer, PoolLayer) else layer.channels
    return nn.Sequential(*modules)


def _modules(layer: Layer, channels: int, eps: float) -> list[nn.Module]:
    """A layer of the configuration as torch has it, for an input of so many channels."""
    if isinstance(layer, PoolLayer):
        return [nn.MaxPool2d(layer.kernel, layer.stride)]
    if isinstance(layer, BottleneckLayer):
        return [Bottleneck(layer, channels, eps)]
    made: list[nn.Module] = [
        nn.Conv2d(channels, layer.channels, layer.kernel, layer.stride, layer.padding, groups=layer.groups)
    ]
    if layer.norm:
        made.append(nn.BatchNorm2d(layer.channels, eps=eps))
    if layer.relu:
        made.append(nn.ReLU6(inplace=True) if layer.ceiling else nn.ReLU(inplace=True))
    return made


class Bottleneck(nn.Module):
    """`BottleneckLayer` as a module: [B, channels, h, w] to [B, layer.channels, h / stride, w / stride]."""

    def __init__(self, layer: BottleneckLayer, channels: int, eps: float) -> None:
        super().__init__()
        wide = channels * layer.expansion
        self.adds = layer.stride == 1 and channels == layer.channels
        widen = ConvLayer(wide, 1, ceiling=6.0)
        filter_each = ConvLayer(wide, layer.kernel, layer.stride, wide, padding=layer.padding, ceiling=6.0)
        narrow = ConvLayer(layer.channels, 1, relu=False)
        modules: list[nn.Module] = []
        for part in (widen, filter_each, narrow) if layer.expansion > 1 else (filter_each, narrow):
            modules += _modules(part, channels, eps)
            channels = part.channels
        self.layers = nn.Sequential(*modules)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


class TrunkAndNeck(nn.Sequential):
    """Layers one after the other, the tapped ones' outputs side by side, then the neck."""

    def __init__(self, config: NetworkConfig) -> None:
        taps = config.taps or (len(config.layers) - 1,)
        trunk: list[nn.Module] = []
        widths, channels = [], 3
        for layer in config.layers:
            trunk.append(nn.Sequential(*_modules(layer, channels, config.norm_eps)))
            channels = channels if isinstance(layer, PoolLayer) else layer.channels
            widths.append(channels)
        channels = sum(widths[tap] for tap in taps)
        neck: list[nn.Module] = []
        for layer in config.neck:
            neck += _modules(layer, channels, config.norm_eps)
            channels = layer.channels
        super().__init__(OrderedDict(trunk=nn.Sequential(*trunk), neck=nn.Sequential(*neck)))
        self.trunk: nn.Sequential
        self.neck: nn.Sequential
        self.taps = taps

    def forward(self, x: Tensor) -> Tensor:
        tapped = []
        for index, layer in enumerate(self.trunk):
            x = layer(x)
            if index in self.taps:
                tapped.append(x)
        side = x.shape[-1]
        # Finer maps are averaged two by two, until they are as coarse as the last.
        level = [F.avg_pool2d(each, each.shape[-1] // side) for each in tapped]
        embeddings: Tensor = self.neck(torch.cat(level, dim=1))
        return embeddings


def middle(embeddings: Tensor, cells: int) -> Tensor:
    """The middle `cells` x `cells` of embeddings [B, C, s, s]."""
    low = (embeddings.shape[-1] - cells) // 2
    return embeddings[..., low : low + cells, low : low + cells]


def preprocess(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """The network's input, float32, of pixels [B, 3, side, side], RGB 0..255, of any type."""
    ordered = pixels.flip(1) if preprocessing.order == "bgr" else pixels
    return (ordered.to(torch.float32) - preprocessing.mean) / preprocessing.std


def initialise(network: SiamFC, generator: torch.Generator) -> None:
    """Fresh weights for training: He-normal kernels, zero biases, identity norms."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
            module.reset_running_stats()
    if network.head is not None:
        initialise_head(network.head, generator)


def fold_norms(network: SiamFC) -> SiamFC:
    """A copy for inference with every batch norm folded into the convolution before it.

    A norm that follows none becomes one multiplication and one addition. Equal to the original in eval mode up to
    rounding.
    """
    folded = deepcopy(network).eval()
    _fold(folded)
    return folded.requires_grad_(False)


def _fold(module: nn.Module) -> None:
    """Fold, in place, each batch norm of a sequence into the convolution right before it; one alone becomes affine."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, Affine.from_norm(child))
            continue
        if type(child) is not nn.Sequential:
            _fold(child)
            continue
        kept: list[nn.Module] = []
        for part in child:
            _fold(part)
            if isinstance(part, nn.BatchNorm2d) and kept and isinstance(kept[-1], nn.Conv2d):
                kept[-1] = fold_norm(kept[-1], part)
            else:
                kept.append(part)
        setattr(module, name, nn.Sequential(*kept))


def fold_norm(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """A convolution, with a bias, that does what the two do in eval mode."""
    return fuse_conv_bn_eval(convolution, norm)


class Affine(nn.Module):
    """`x * weight + bias` with one number a channel, [C, 1, 1], or scalars: a batch norm in eval mode."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    @classmethod
    def from_norm(cls, norm: nn.BatchNorm2d) -> Affine:
        """The affine that `norm`, with running statistics, applies in eval mode."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weight = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
        bias = norm.bias.detach() - norm.running_mean * weight
        shape = () if len(weight) == 1 else (-1, 1, 1)
        return cls(weight.reshape(shape), bias.reshape(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias
