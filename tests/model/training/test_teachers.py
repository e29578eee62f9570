from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from model.checkpoints import Weights, save_weights
from model.config import Preprocessing, preset
from model.errors import CheckpointError
from model.network import preprocess
from model.training.mobilenet import MobileNetV2, _blocks
from model.training.teachers import Siamese, load_teacher
from tests.support.networks import random_network

PIXELS = torch.randint(0, 256, (2, 3, 255, 255), generator=torch.Generator().manual_seed(0)).float()
CPU = torch.device("cpu")


def classifier() -> nn.Sequential:
    """MobileNetV2's first blocks with norms that do something."""
    blocks = _blocks()
    generator = torch.Generator().manual_seed(0)
    for module in blocks.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.running_mean, module.weight, module.bias):
                value.data.normal_(0.5, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=generator)
    return blocks.eval()


def state_of(blocks: nn.Sequential) -> dict[str, torch.Tensor]:
    """As a published file: our names under `features.`, what follows the features last."""
    state = {f"features.{name}": value for name, value in blocks.state_dict().items()}
    return state | {"features.14.conv.0.weight": torch.ones(576, 96, 1, 1), "classifier.bias": torch.ones(1000)}


def saved(folder: Path, state: object) -> Path:
    torch.save(state, folder / "mobilenetv2.pth")
    return folder / "mobilenetv2.pth"


def test_a_classifiers_features_are_those_of_its_file(tmp_path: Path) -> None:
    blocks = classifier()
    teacher = load_teacher(saved(tmp_path, state_of(blocks)))
    assert isinstance(teacher, MobileNetV2)
    teacher.place(CPU)
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    with torch.inference_mode():
        plain = blocks((PIXELS - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        found = teacher.embed(PIXELS)
    spread, middle = torch.std_mean(plain, (0, 2, 3), keepdim=True)
    torch.testing.assert_close(found, (plain - middle) / spread, rtol=1e-3, atol=1e-3)
    assert found.shape == (2, teacher.channels, 32, 32)
    assert teacher.maps(found, torch.zeros(2, 2)) is None
    assert not any(parameter.requires_grad for parameter in teacher.network.parameters())


def test_where_a_classifiers_cells_lie(tmp_path: Path) -> None:
    blocks = classifier()
    for module in blocks.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    teacher = MobileNetV2(saved(tmp_path, state_of(blocks)))
    pixels = torch.zeros(1, 3, 255, 255, requires_grad=True)
    # Kernels that weigh all alike see symmetrically around their cell.
    teacher.network(pixels)[0, :, 16, 12].sum().backward()
    assert pixels.grad is not None
    seen = pixels.grad.abs().sum((0, 1))
    x, y = ((seen.sum(axis) * torch.arange(255.0)).sum() / seen.sum() for axis in (0, 1))
    middle = 127 + teacher.offset
    assert x.item() == pytest.approx(middle + (12 - 15.5) * teacher.stride, abs=0.51)
    assert y.item() == pytest.approx(middle + (16 - 15.5) * teacher.stride, abs=0.51)


def short(state: dict[str, torch.Tensor]) -> object:
    return dict(list(state.items())[:40])


def reshaped(state: dict[str, torch.Tensor]) -> object:
    return state | {"features.0.0.weight": torch.ones(16, 3, 3, 3)}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(short, "holds .* features", id="too few"),
        pytest.param(reshaped, r"features\.0\.0\.weight is \(16", id="another shape"),
        pytest.param(lambda _: [1, 2], "cannot be read", id="no state dict"),
        pytest.param(lambda _: {"features.0": 3}, "cannot be read|holds", id="no tensors"),
    ],
)
def test_a_file_that_holds_no_classifier_of_this_kind(tmp_path: Path, spoil: object, says: str) -> None:
    assert callable(spoil)
    with pytest.raises(CheckpointError, match=says):
        load_teacher(saved(tmp_path, spoil(state_of(classifier()))))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("absent.pt", None, "cannot be read"),
        ("noise.pth", b"noise", "cannot be read"),
        ("absent.safetensors", None, "no such file; the weights that ship are"),
        ("teacher.onnx", b"", "a teacher is"),
    ],
)
def test_files_that_are_no_teacher(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=says):
        load_teacher(tmp_path / name)


def test_weights_of_ours_teach_maps_too(tmp_path: Path) -> None:
    network = random_network(preset("light"))
    save_weights(tmp_path / "w.safetensors", Weights(network, Preprocessing(mean=114.0, std=58.0)), dtype=torch.float32)
    teacher = load_teacher(tmp_path / "w.safetensors")
    assert isinstance(teacher, Siamese)
    teacher.place(CPU)
    embeddings = teacher.embed(PIXELS)
    torch.testing.assert_close(embeddings, network.embed((PIXELS - 114) / 58))
    maps = teacher.maps(embeddings, torch.zeros(2, 2))
    assert maps is not None
    assert maps.logits.shape[:2] == (2, 2)


def test_pixels_in_the_teachers_own_way() -> None:
    found = preprocess(PIXELS, Preprocessing(order="bgr", mean=100.0, std=50.0))
    torch.testing.assert_close(found[:, 0], (PIXELS[:, 2] - 100) / 50)


def test_bundled_weights_teach_by_their_name() -> None:
    teacher = load_teacher(Path("light"))
    assert (teacher.channels, teacher.stride) == (192, 8)
