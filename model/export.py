"""Weights as ONNX, for runtimes of other people: OpenCV's DNN, ONNX Runtime, TensorRT, phones, a browser.

Two networks and a page of numbers are written. `exemplar.onnx` embeds the target once; `search.onnx` answers each later
frame. Both take pixels as they are, so that only cropping and reading stay outside; docs/export.md says how, and the
numbers stand in `siamfc.json`.
"""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from model.box_head import part_responses
from model.checkpoints import Weights
from model.config import Preprocessing
from model.files import replacing, write_text
from model.network import SiamFC, fold_norms, preprocess

EXEMPLAR, SEARCH, NUMBERS = "exemplar.onnx", "search.onnx", "siamfc.json"
OPSET = 18


class ExemplarNetwork(nn.Module):
    """From an exemplar crop, float32 [1, 3, 127, 127] RGB 0..255, to its embedding, float32 [1, C, e, e]."""

    def __init__(self, network: SiamFC, preprocessing: Preprocessing) -> None:
        super().__init__()
        self._network, self._preprocessing = network, preprocessing

    def forward(self, crop: Tensor) -> Tensor:
        return self._network.embed_exemplars(preprocess(crop, self._preprocessing))


class SearchNetwork(nn.Module):
    """From a search crop, float32 [1, 3, 255, 255] RGB 0..255, and an exemplar's embedding to the map's logits.

    `response` is float32 [1, 1, S, S]. With a head there are a third input, `shape`: float32 [1, 2], width and height
    of the exemplar's box in its crop; and a second output, `boxes`: float32 [1, 5, S, S], as `model.box_head` has it.
    """

    def __init__(self, network: SiamFC, preprocessing: Preprocessing) -> None:
        super().__init__()
        self._network, self._preprocessing = network, preprocessing

    def forward(self, crop: Tensor, exemplar: Tensor, shape: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        network = self._network
        search = network.embed(preprocess(crop, self._preprocessing))
        parts = part_responses(exemplar, search)
        response: Tensor = network.match_norm(parts.sum(1, keepdim=True))
        if network.head is None or shape is None:
            return response
        return response, network.head(parts, search, shape)


def export_onnx(weights: Weights, folder: Path) -> tuple[Path, ...]:
    """Write both networks and the numbers into `folder`, which must exist; returns the files written."""
    network, preprocessing, config = fold_norms(weights.network), weights.preprocessing, weights.network.config
    crop = torch.zeros(1, 3, config.exemplar_size, config.exemplar_size)
    _write(ExemplarNetwork(network, preprocessing), (crop,), folder / EXEMPLAR, ["crop"], ["exemplar"])
    side = config.exemplar_side
    given: tuple[Tensor, ...] = (
        torch.zeros(1, 3, config.search_size, config.search_size),
        torch.zeros(1, config.channels, side, side),
    )
    names, answers = ["crop", "exemplar"], ["response"]
    if network.head is not None:
        given, names, answers = (*given, torch.full((1, 2), 64.0)), [*names, "shape"], [*answers, "boxes"]
    _write(SearchNetwork(network, preprocessing), given, folder / SEARCH, names, answers)
    write_text(folder / NUMBERS, json.dumps(numbers(weights), indent=2) + "\n")
    return folder / EXEMPLAR, folder / SEARCH, folder / NUMBERS


def numbers(weights: Weights) -> dict[str, object]:
    """Everything outside the networks that a tracker needs, as plain values."""
    config = weights.network.config
    return {
        "network": config.name,
        "weights": weights.sha256,
        "exemplar_size": config.exemplar_size,
        "search_size": config.search_size,
        "stride": config.stride,
        "map_size": config.map_size,
        "head": config.head is not None,
        "tracker": dataclasses.asdict(weights.constants),
        "calibration": dataclasses.asdict(weights.calibration),
    }


def _write(module: nn.Module, given: tuple[Tensor, ...], path: Path, names: list[str], answers: list[str]) -> None:
    with replacing(path) as partial, warnings.catch_warnings():
        # The exporter warns of its own plans; nothing there is for whoever exports.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            given,
            partial,
            input_names=names,
            output_names=answers,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
