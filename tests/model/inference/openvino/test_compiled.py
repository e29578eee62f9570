"""Every runtime and precision against torch in fp32, for every preset."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from model.checkpoints import Weights
from model.config import PRESET_NAMES, Preprocessing, preset
from model.correlation import correlate_scales
from model.inference.devices import multiplies_bf16
from model.inference.openvino.quantisation import quantisable
from model.inference.torch_network import TorchNetwork
from model.network import fold_norms
from tests.support.networks import TINY, random_network, settled_network

Embed = Callable[[np.ndarray], torch.Tensor]
PREPROCESSING = Preprocessing("rgb", 114.0, 58.0)
BOXES = np.array([[50, 80], [100, 12], [64, 64], [30, 120]], np.float32)
WITHOUT_HEAD = [name for name in PRESET_NAMES if preset(name).head is None]


def mottled(rng: np.random.Generator, count: int, side: int) -> np.ndarray:
    """Crops uint8 [count, side, side, 3] with structure of several sizes: noise alone would average out."""
    coarse = rng.integers(0, 256, (count, 9, 9, 3), np.uint8)
    smooth = np.stack([cv2.resize(each, (side, side), interpolation=cv2.INTER_CUBIC) for each in coarse])
    return np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)


def settled_weights(name: str, rng: np.random.Generator) -> Weights:
    crops = torch.from_numpy(mottled(rng, 4, 127)).permute(0, 3, 1, 2).float()
    return Weights(settled_network(preset(name), (crops - 114) / 58), PREPROCESSING)


def compiled(weights: Weights, arithmetic: Any) -> Embed:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    from model.inference.openvino.compiled import OpenVinoEmbedder, arithmetics

    if arithmetic not in arithmetics():
        pytest.skip(f"this CPU does not multiply {arithmetic}")
    if arithmetic == "int8" and not quantisable(weights.network.config):
        pytest.skip(f"{weights.network.config.name} has no int8")
    return OpenVinoEmbedder(weights, arithmetic, threads=1)


def eager(weights: Weights, precision: Any) -> Embed:
    if precision == "bf16" and not multiplies_bf16():
        pytest.skip("this CPU does not multiply bf16")
    return TorchNetwork(weights, torch.device("cpu"), precision).embed_crops


@pytest.mark.parametrize("name", PRESET_NAMES)
@pytest.mark.parametrize(
    ("runtime", "precision", "tolerance"),
    [
        pytest.param(eager, "fp32", 1e-4, id="torch fp32"),
        pytest.param(eager, "bf16", 0.05, id="torch bf16"),
        pytest.param(compiled, "fp32", 1e-4, id="openvino fp32"),
        pytest.param(compiled, "bf16", 0.05, id="openvino bf16"),
        pytest.param(compiled, "int8", 0.12, id="openvino int8"),
    ],
)
def test_embeddings_stay_close(
    name: str, runtime: Any, precision: str, tolerance: float, rng: np.random.Generator
) -> None:
    if precision != "fp32" and preset(name).neck:
        pytest.skip("thirty untrained layers round to noise; the trained ones are held to the tracker's boxes")
    weights = settled_weights(name, rng)
    embedder = runtime(weights, precision)
    crops = mottled(rng, 2, 127)
    scaled = (torch.from_numpy(crops).permute(0, 3, 1, 2).float() - 114) / 58
    expected = weights.network.embed(scaled)
    embedded = embedder(crops).float()
    assert embedded.shape == expected.shape
    # Relative to how much the embedding varies from place to place, which is all that a correlation sees.
    varies = (expected - expected.mean((0, 2, 3), keepdim=True)).square().mean().sqrt()
    error = float((embedded - expected).square().mean().sqrt() / varies)
    # An untrained network of fifteen layers varies little and rounds often.
    assert error < tolerance * (3 if name == "light" else 1)


@pytest.mark.parametrize("arithmetic", ["fp32", "bf16", "int8"])
def test_a_batch_equals_its_singles(arithmetic: str, rng: np.random.Generator) -> None:
    embedder = compiled(settled_weights("paper", rng), arithmetic)
    crops = mottled(rng, 3, 127)
    together = embedder(crops).clone()
    for index in range(3):
        torch.testing.assert_close(embedder(crops[index : index + 1])[0], together[index], rtol=1e-2, atol=1e-2)


def test_one_graph_takes_exemplars_and_search_regions(rng: np.random.Generator) -> None:
    embedder = compiled(Weights(random_network(TINY), PREPROCESSING), "fp32")
    assert embedder(mottled(rng, 1, 127)).shape == (1, 8, 13, 13)
    assert embedder(mottled(rng, 2, 255)).shape == (2, 8, 29, 29)


def test_crops_may_be_read_only(rng: np.random.Generator) -> None:
    embedder = compiled(Weights(random_network(TINY), PREPROCESSING), "fp32")
    crops = mottled(rng, 1, 127)
    expected = embedder(crops).clone()
    crops.flags.writeable = False
    torch.testing.assert_close(embedder(crops), expected)


def test_bgr_weights_see_the_channels_reversed(rng: np.random.Generator) -> None:
    network, crops = random_network(TINY), mottled(rng, 1, 127)
    rgb = compiled(Weights(network, PREPROCESSING), "fp32")(np.ascontiguousarray(crops[..., ::-1])).clone()
    bgr = compiled(Weights(network, Preprocessing("bgr", 114.0, 58.0)), "fp32")(crops)
    torch.testing.assert_close(bgr, rgb)


class SignalStack(ctypes.Structure):
    """`stack_t` of signal.h: where this thread's signal handlers run."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack() -> tuple[int | None, int]:
    found = SignalStack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found)) == 0
    return found.start, found.size


@pytest.mark.skipif(sys.platform != "linux", reason="signal stacks are Linux's here")
def test_signals_keep_their_stack_whichever_embedder_goes_first() -> None:
    weights = Weights(random_network(TINY), PREPROCESSING)
    embedders = [compiled(weights, "fp32")]
    stack = signal_stack()
    embedders += [compiled(weights, "fp32"), compiled(weights, "fp32")]
    while embedders:
        del embedders[0]
        assert signal_stack() == stack


def exemplars_of(weights: Weights, rng: np.random.Generator, count: int) -> np.ndarray:
    return compiled(weights, "fp32")(mottled(rng, count, 127)).to(torch.float16).numpy()


@pytest.mark.parametrize("name", WITHOUT_HEAD)
@pytest.mark.parametrize("arithmetic", ["fp32", "bf16", "int8"])
def test_products_give_the_maps_of_the_embeddings(name: str, arithmetic: Any, rng: np.random.Generator) -> None:
    weights = settled_weights(name, rng)
    embedder = compiled(weights, arithmetic)
    from model.inference.openvino.compiled import all_cores

    exemplars, crops = exemplars_of(weights, rng, 2), mottled(rng, 6, 191).reshape(2, 3, 191, 191, 3)
    embeddings = embedder(crops.reshape(6, 191, 191, 3))
    embeddings = embeddings.reshape(2, 3, *embeddings.shape[1:])
    match = fold_norms(weights.network).match_norm
    expected = match(correlate_scales(torch.from_numpy(exemplars).float(), embeddings)).numpy()
    responder = all_cores(weights, arithmetic, threads=2)
    whole, last = responder(exemplars, crops, BOXES[:2]), responder(exemplars[1:], crops[1:], BOXES[:1])
    for found, wanted in ((whole[:, :, 0], expected), (last[:, :, 0], expected[1:])):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3 * np.ptp(wanted))


def test_each_core_responds_as_all_do_together(rng: np.random.Generator) -> None:
    weights = settled_weights("light", rng)
    exemplars = exemplars_of(weights, rng, 4)
    from model.inference.openvino.compiled import all_cores, each_core

    together, apart = all_cores(weights, "fp32", 2), each_core(weights, "fp32", 2)
    assert len(apart) == 4
    # Sizes in turn: what was compiled for one is not kept for another.
    for side in (191, 255, 191):
        crops = mottled(rng, 2 * len(apart), side).reshape(len(apart), 1, 2, side, side, 3)
        for index, core in enumerate(apart):
            core.start(exemplars[index : index + 1], crops[index], BOXES[:1])
        for index, core in enumerate(apart):
            expected = together(exemplars[index : index + 1], crops[index], BOXES[:1])
            np.testing.assert_allclose(core.finish(), expected, rtol=1e-4, atol=1e-4 * np.ptp(expected))


@pytest.mark.parametrize("regions", [1, 3])
def test_a_head_responds_as_the_torch_network_does(regions: int, rng: np.random.Generator) -> None:
    weights = settled_weights("swift", rng)
    compiled(weights, "fp32")
    from model.inference.openvino.compiled import all_cores, each_core

    torch_network = TorchNetwork(weights, torch.device("cpu"), "fp32")
    exemplars = torch_network.embed_exemplars(mottled(rng, 2, 127)).to(torch.float16)
    crops = mottled(rng, 2 * regions, 255).reshape(2, regions, 255, 255, 3)
    expected = torch_network.respond(exemplars, crops, BOXES[:2])
    assert expected.shape == (2, regions, 6, 13, 13)
    found = all_cores(weights, "fp32", threads=2)(exemplars.numpy(), crops, BOXES[:2])
    spread = expected.std(axis=(0, 1, 3, 4), keepdims=True)
    assert np.abs((found - expected) / spread).max() < 1e-3
    core = each_core(weights, "fp32", threads=2)[0]
    core.start(exemplars.numpy()[1:], crops[1:], BOXES[1:2])
    np.testing.assert_allclose(core.finish(), found[1:], rtol=1e-4, atol=1e-4 * float(spread.max()))
