from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from model.errors import CheckpointError
from model.network import SiamFC, TrunkAndNeck
from model.training.trunks import load_trunk
from tests.support.networks import TINY_HEAD, random_network


def trunk_of(network: SiamFC) -> nn.Sequential:
    assert isinstance(network.embedding, TrunkAndNeck)
    return network.embedding.trunk


def written(path: Path, state: dict[str, Any]) -> Path:
    torch.save(state, path)
    return path


def classifier(seed: int = 1) -> dict[str, torch.Tensor]:
    """A trunk's tensors under other names, without biases, and a layer that the trunk has not."""
    trunk = trunk_of(random_network(TINY_HEAD, seed))
    biases = {f"{name}.bias" for name, module in trunk.named_modules() if isinstance(module, nn.Conv2d)}
    kept = [value for name, value in trunk.state_dict().items() if name not in biases]
    return {f"layer{index}": value for index, value in enumerate(kept)} | {"fc": torch.zeros(10, 6)}


def test_a_trunk_takes_a_classifiers_first_tensors_in_their_order(tmp_path: Path) -> None:
    trunk = trunk_of(random_network(TINY_HEAD, 2))
    load_trunk(trunk, written(tmp_path / "classifier.pt", classifier(1)))
    expected = trunk_of(random_network(TINY_HEAD, 1))
    for module in expected.modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None
            module.bias.data.zero_()
    pixels = torch.randn(1, 3, 64, 64)
    assert torch.equal(trunk(pixels), expected(pixels))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda state: {"layer0": state["layer0"]}, "holds 1 tensors", id="too few"),
        pytest.param(lambda state: state | {"layer0": torch.zeros(4, 3, 5, 5)}, "layer0 is", id="another shape"),
        pytest.param(lambda state: [1, 2], "cannot be read", id="no state dict"),
    ],
)
def test_files_that_are_refused(change: Any, reason: str, tmp_path: Path) -> None:
    path = written(tmp_path / "classifier.pt", change(classifier()))
    with pytest.raises(CheckpointError, match=reason):
        load_trunk(trunk_of(random_network(TINY_HEAD)), path)


def test_a_file_that_is_no_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "classifier.pt"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(CheckpointError, match="cannot be read as a classifier's state dict"):
        load_trunk(trunk_of(random_network(TINY_HEAD)), path)
