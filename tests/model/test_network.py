from __future__ import annotations

import pytest
import torch
from torch import nn

from model.config import PRESET_NAMES, NetworkConfig, preset
from model.layers import ConvLayer
from model.network import Affine, SiamFC, fold_norms, initialise
from tests.support.networks import TINY, TINY_HEAD, random_network


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_the_layers_of_a_preset_have_the_sizes_its_configuration_says(name: str) -> None:
    config = preset(name)
    # On the meta device shapes are worked out and nothing is computed.
    with torch.device("meta"):
        network = SiamFC(config).eval()
        exemplar = network.embed_exemplars(torch.empty(2, 3, 127, 127))
        search = network.embed(torch.empty(2, 3, 255, 255))
        maps = network.respond(exemplar, search)
        upscaled = network.respond(exemplar, search, upscale=True)
    e, s = config.exemplar_side, config.embedding_size(255)
    assert exemplar.shape == (2, config.channels, e, e)
    assert search.shape == (2, config.channels, s, s)
    assert maps.shape == (2, 1, config.map_size, config.map_size)
    assert upscaled.shape == (2, 1, config.upscaled_size, config.upscaled_size)


@pytest.mark.parametrize("name", ["paper", "baseline"])
def test_the_exemplar_is_the_middle_of_its_search_regions_embedding(name: str) -> None:
    config = preset(name)
    network = random_network(config)
    crop = torch.randn(1, 3, 255, 255)
    whole = network.embed(crop)
    e = config.embedding_size(127)
    corner = (whole.shape[-1] - e) // 2
    middle = whole[..., corner : corner + e, corner : corner + e]
    torch.testing.assert_close(network.embed(crop[..., 64:191, 64:191]), middle, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "config", [TINY, TINY_HEAD, preset("paper"), preset("baseline")], ids=lambda config: config.name
)
def test_folded_norms_change_nothing(config: NetworkConfig) -> None:
    network = random_network(config).double()
    folded = fold_norms(network)
    crops = torch.randn(2, 3, 127, 127, dtype=torch.float64), torch.randn(2, 3, 143, 143, dtype=torch.float64)
    torch.testing.assert_close(folded(*crops), network(*crops))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_a_folded_head_reads_the_same_boxes() -> None:
    network = random_network(TINY_HEAD).double()
    folded = fold_norms(network)
    exemplars, searches = (torch.randn(2, 8, side, side, dtype=torch.float64) for side in (4, 16))
    shapes = torch.tensor([[40.0, 80.0], [100.0, 5.0]], dtype=torch.float64)
    expected = network.read_boxes(exemplars, searches, shapes)
    torch.testing.assert_close(folded.read_boxes(exemplars, searches, shapes), expected)
    assert expected.shape == (2, 5, 13, 13)


def test_the_exemplar_of_a_padded_network_is_the_middle_of_its_own_crops_embedding() -> None:
    network = random_network(TINY_HEAD)
    crops = torch.randn(2, 3, 127, 127)
    assert torch.equal(network.embed_exemplars(crops), network.embed(crops)[..., 2:6, 2:6])


def test_folding_leaves_the_original_as_it_was() -> None:
    network = random_network(TINY)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fold_norms(network)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_folded_network_shares_no_memory_with_the_original() -> None:
    network = random_network(TINY)
    folded = fold_norms(network)
    crop = torch.randn(1, 3, 127, 127)
    before = folded.embed(crop).clone()
    for tensor in network.state_dict().values():
        tensor.zero_()
    torch.testing.assert_close(folded.embed(crop), before)


def test_an_affine_is_what_the_norm_does_by_hand() -> None:
    norm = nn.BatchNorm2d(1, eps=1.0).eval()
    for tensor, value in ((norm.weight, 6.0), (norm.bias, 5.0), (norm.running_mean, 2.0), (norm.running_var, 8.0)):
        assert tensor is not None
        tensor.data.fill_(value)
    affine = Affine.from_norm(norm)
    # 6 / sqrt(8 + 1) = 2; 5 - 2 * 2 = 1.
    assert (affine.weight.item(), affine.bias.item()) == (2.0, 1.0)
    assert affine(torch.tensor([10.0])).item() == 21.0


def test_initialise_gives_the_same_weights_for_the_same_seed() -> None:
    first, second, other = SiamFC(TINY), SiamFC(TINY), SiamFC(TINY)
    for network, seed in ((first, 3), (second, 3), (other, 4)):
        initialise(network, torch.Generator().manual_seed(seed))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert not torch.equal(first.embedding[0].weight, other.embedding[0].weight)


def test_initialise_keeps_the_variance_of_its_input() -> None:
    # He et al. 2015: kernels of variance 2 / fan_in; the first layer's fan-in is 3 * 11 * 11.
    network = SiamFC(preset("paper"))
    initialise(network, torch.Generator().manual_seed(0))
    kernel, bias = network.embedding[0].weight, network.embedding[0].bias
    assert kernel.var().item() == pytest.approx(2 / 363, rel=0.03)
    assert not bias.any()


def test_norms_use_the_eps_of_the_configuration() -> None:
    layers = (ConvLayer(4, 3), ConvLayer(4, 3, norm=False, relu=False))
    network = SiamFC(NetworkConfig(name="n", layers=layers, norm_eps=1e-3))
    assert [module.eps for module in network.embedding if isinstance(module, nn.BatchNorm2d)] == [1e-3]


def test_folding_leaves_a_network_in_training_as_it_was() -> None:
    network = SiamFC(TINY).train()
    fold_norms(network)
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
