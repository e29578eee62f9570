"""The fully-convolutional Siamese network.

Shape legend: B crops or pairs, C embedding channels; a crop is [B, 3, side, side] (127 exemplar, 255 search), its
embedding [B, C, s, s], the correlation map [B, 1, S, S]. Nothing is padded, so the embedding of the central 127 px
of a 255 px crop is the centre of that crop's embedding.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model.config import ConvLayer, NetworkConfig, Preprocessing
from model.correlation import match_corr


class SiamFC(nn.Module):
    """One embedding for both branches, correlation, match batch norm. Source: Bertinetto et al. 2016, section 2."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = _embedding(config)
        self.match_norm: nn.Module = nn.BatchNorm2d(1)

    def embed(self, crops: Tensor) -> Tensor:
        """Embeddings [B, C, s, s] of preprocessed crops [B, 3, side, side]."""
        embeddings: Tensor = self.embedding(crops)
        return embeddings

    def respond(self, exemplars: Tensor, searches: Tensor, *, upscale: bool = False) -> Tensor:
        """Logits [B, 1, S, S] of exemplar embeddings against search embeddings; S upscaled if asked."""
        return match_corr(exemplars, searches, self.match_norm, self.config.upscaled_size if upscale else None)

    def forward(self, exemplar_crops: Tensor, search_crops: Tensor, *, upscale: bool = False) -> Tensor:
        """Logits of preprocessed crops [B, 3, 127, 127] and [B, 3, 255, 255]."""
        return self.respond(self.embed(exemplar_crops), self.embed(search_crops), upscale=upscale)


def _embedding(config: NetworkConfig) -> nn.Sequential:
    modules: list[nn.Module] = []
    channels = 3
    for layer in config.layers:
        if isinstance(layer, ConvLayer):
            modules.append(nn.Conv2d(channels, layer.channels, layer.kernel, layer.stride, groups=layer.groups))
            channels = layer.channels
            if layer.norm:
                modules.append(nn.BatchNorm2d(channels, eps=config.norm_eps))
            if layer.relu:
                modules.append(nn.ReLU(inplace=True))
        else:
            modules.append(nn.MaxPool2d(layer.kernel, layer.stride))
    return nn.Sequential(*modules)


def preprocess(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """The network's input, float32, of pixels [B, 3, side, side], RGB 0..255, of any type."""
    ordered = pixels.flip(1) if preprocessing.order == "bgr" else pixels
    return (ordered.to(torch.float32) - preprocessing.mean) / preprocessing.std


def initialise(network: SiamFC, generator: torch.Generator) -> None:
    """Fresh weights for training: He-normal kernels, zero biases, identity norms."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
            module.reset_running_stats()


def fold_norms(network: SiamFC) -> SiamFC:
    """A copy for inference with every batch norm folded into the convolution before it.

    The match norm becomes one multiplication and one addition. Equal to the original in eval mode up to rounding.
    """
    network = deepcopy(network).eval()
    folded = SiamFC(network.config).eval()
    modules: list[nn.Module] = []
    for module in network.embedding:
        if isinstance(module, nn.BatchNorm2d):
            convolution = modules.pop()
            assert isinstance(convolution, nn.Conv2d)
            modules.append(fuse_conv_bn_eval(convolution, module))
        else:
            modules.append(module)
    folded.embedding = nn.Sequential(*modules)
    assert isinstance(network.match_norm, nn.BatchNorm2d)
    folded.match_norm = Affine.from_norm(network.match_norm)
    return folded.requires_grad_(False)


class Affine(nn.Module):
    """`x * weight + bias` with scalars: a batch norm of one channel in eval mode."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    @classmethod
    def from_norm(cls, norm: nn.BatchNorm2d) -> Affine:
        """The affine that `norm` (one channel, with running statistics) applies in eval mode."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weight = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
        return cls(weight.reshape(()), (norm.bias.detach() - norm.running_mean * weight).reshape(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias
