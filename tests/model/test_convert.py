"""The sources' networks are stated again here, plainly, and a converted checkpoint must respond as they do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from model.checkpoints import Weights, load_weights, save_weights
from model.config import Preprocessing
from model.convert import convert
from model.errors import CheckpointError
from model.network import fold_norms
from tests.support.networks import randomise_norms
from tests.support.odd_checkpoints import NUMBERS

State = dict[str, Any]


def _block(inputs: int, outputs: int, kernel: int, eps: float, **options: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, **options), nn.BatchNorm2d(outputs, eps=eps), nn.ReLU()]


def baseline() -> nn.Sequential:
    return nn.Sequential(
        *_block(3, 96, 11, 1e-5, stride=2),
        nn.MaxPool2d(3, stride=2),
        *_block(96, 256, 5, 1e-5, groups=2),
        nn.MaxPool2d(3, stride=1),
        *_block(256, 384, 3, 1e-5),
        *_block(384, 384, 3, 1e-5, groups=2),
        nn.Conv2d(384, 32, 3, groups=2),
    )


def vgg11() -> nn.Sequential:
    return nn.Sequential(
        *_block(3, 64, 3, 1e-5),
        nn.MaxPool2d(2, 2),
        *_block(64, 128, 3, 1e-5),
        nn.MaxPool2d(2, 2),
        *_block(128, 256, 3, 1e-5),
        *_block(256, 256, 3, 1e-5),
        nn.Conv2d(256, 32, 3),
    )


def vgg16() -> nn.Sequential:
    return nn.Sequential(
        *_block(3, 64, 3, 1e-5),
        *_block(64, 64, 3, 1e-5),
        nn.MaxPool2d(2, 2),
        *_block(64, 128, 3, 1e-5),
        *_block(128, 128, 3, 1e-5),
        nn.MaxPool2d(2, 2),
        *_block(128, 256, 3, 1e-5),
        *_block(256, 256, 3, 1e-5),
        *_block(256, 256, 3, 1e-5),
        nn.Conv2d(256, 32, 3),
    )


class PytorchSiamFC(nn.Module):
    """rafellerc's: one embedding, correlation, match batch norm."""

    def __init__(self, embedding: nn.Sequential) -> None:
        super().__init__()
        self.embedding_net = nn.Module()
        self.embedding_net.fully_conv = embedding
        self.match_batchnorm = nn.BatchNorm2d(1)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        z, x = (self.embedding_net.fully_conv(crop) for crop in (z, x))
        return self.match_batchnorm(torch.cat([F.conv2d(x[i : i + 1], z[i : i + 1]) for i in range(len(z))]))


class SiamFCPytorch(nn.Module):
    """huanglianghua's: five blocks, correlation, a constant factor."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.conv1 = nn.Sequential(*_block(3, 96, 11, 1e-6, stride=2), nn.MaxPool2d(3, 2))
        self.backbone.conv2 = nn.Sequential(*_block(96, 256, 5, 1e-6, groups=2), nn.MaxPool2d(3, 2))
        self.backbone.conv3 = nn.Sequential(*_block(256, 384, 3, 1e-6))
        self.backbone.conv4 = nn.Sequential(*_block(384, 384, 3, 1e-6, groups=2))
        self.backbone.conv5 = nn.Sequential(nn.Conv2d(384, 256, 3, groups=2))

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        for block in self.backbone.children():
            z, x = block(z), block(x)
        return torch.cat([F.conv2d(x[i : i + 1], z[i : i + 1]) for i in range(len(z))]) * 0.001


def untrained(source: nn.Module) -> nn.Module:
    """In eval mode, with batch norm statistics that matter; some variances are so small that eps matters too."""
    randomise_norms(source, torch.Generator().manual_seed(5))
    for module in source.modules():
        if isinstance(module, nn.BatchNorm2d) and module.num_features > 1:
            assert module.running_var is not None
            module.running_var[::16] = 1e-5
    return source.eval().requires_grad_(False)


SOURCES: dict[str, Callable[[], nn.Module]] = {
    "baseline": lambda: PytorchSiamFC(baseline()),
    "vgg11_5c": lambda: PytorchSiamFC(vgg11()),
    "vgg16_8c": lambda: PytorchSiamFC(vgg16()),
    "paper": SiamFCPytorch,
}

WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "bare": lambda state: state,
    "under state_dict": lambda state: {"epoch": 46, "state_dict": state, "optim_dict": {"state": {}}},
    "of DataParallel": lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
}


def saved(content: Any, path: Path, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("name", SOURCES)
def test_a_converted_network_responds_as_its_source(name: str, tmp_path: Path) -> None:
    source = untrained(SOURCES[name]())
    weights = convert(saved(source.state_dict(), tmp_path / "source.pth"))
    assert weights.network.config.name == name
    # Smaller than 127 and 255 for speed; the networks are fully convolutional.
    exemplars, searches = torch.randn(2, 3, 103, 103), torch.randn(2, 3, 135, 135)
    expected = source(exemplars, searches)
    scale = expected.abs().max().item()
    for network in (weights.network, fold_norms(weights.network)):
        torch.testing.assert_close(network(exemplars, searches), expected, rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "the format before 1.6"])
@pytest.mark.parametrize("name", ["baseline", "paper"])
def test_every_wrapping_is_read(name: str, wrapping: str, legacy: bool, tmp_path: Path) -> None:
    state = untrained(SOURCES[name]()).state_dict()
    path = saved(WRAPPINGS[wrapping](state), tmp_path / "x.pth.tar", _use_new_zipfile_serialization=not legacy)
    kernel = convert(path).network.state_dict()["embedding.4.weight"]
    theirs = "embedding_net.fully_conv.4.weight" if name == "baseline" else "backbone.conv2.0.weight"
    assert torch.equal(kernel, state[theirs])


def test_the_response_scale_survives_as_an_exact_factor(tmp_path: Path) -> None:
    weights = convert(saved(untrained(SiamFCPytorch()).state_dict(), tmp_path / "x.pth"))
    affine = fold_norms(weights.network).match_norm
    assert affine.weight == torch.tensor(0.001)
    assert affine.bias == 0


def test_a_converted_network_survives_saving(tmp_path: Path) -> None:
    source = untrained(SiamFCPytorch())
    path = tmp_path / "ours.safetensors"
    save_weights(path, convert(saved(source.state_dict(), tmp_path / "x.pth")), dtype=torch.float32)
    exemplars, searches = torch.randn(1, 3, 103, 103), torch.randn(1, 3, 135, 135)
    expected = source(exemplars, searches)
    loaded = load_weights(path)
    torch.testing.assert_close(loaded.network(exemplars, searches), expected, rtol=1e-4, atol=1e-6)
    assert loaded.training["converted_from"] == "huanglianghua/siamfc-pytorch"


def test_huanglianghuas_pixels_are_rgb_as_they_are(tmp_path: Path) -> None:
    weights = convert(saved(untrained(SiamFCPytorch()).state_dict(), tmp_path / "x.pth"))
    assert weights.preprocessing == Preprocessing(order="rgb", mean=0.0, std=1.0)
    assert weights.constants.context == 0.5


@pytest.mark.parametrize(("pixel_range", "std"), [(1.0, 255.0), (255.0, 1.0)])
def test_rafellercs_pixel_range_is_read_off_the_first_norm(pixel_range: float, std: float, tmp_path: Path) -> None:
    source = PytorchSiamFC(baseline())
    convolution, norm = source.embedding_net.fully_conv[:2]
    # As in training, the norm's statistics become those of the convolution's output on its pixels.
    pixels = torch.rand(4, 3, 63, 63) * pixel_range
    norm.momentum = None
    norm(convolution(pixels))
    weights = convert(saved({"state_dict": source.state_dict()}, tmp_path / "x.pth.tar"))
    assert weights.preprocessing == Preprocessing(order="rgb", mean=0.0, std=std)
    assert weights.training["pixel_range"] == pixel_range


def test_converted_weights_say_where_they_come_from(tmp_path: Path) -> None:
    path = saved({"epoch": 46, "state_dict": PytorchSiamFC(baseline()).state_dict()}, tmp_path / "Base.pth.tar")
    weights: Weights = convert(path)
    assert weights.training == {
        "converted_from": "rafellerc/Pytorch-SiamFC",
        "pixel_range": 1.0,
        "file": "Base.pth.tar",
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "epoch": 46,
    }
    assert not weights.network.training


def test_a_score_nobody_calibrated_never_says_lost(tmp_path: Path) -> None:
    weights = convert(saved(SiamFCPytorch().state_dict(), tmp_path / "x.pth"))
    assert weights.calibration.status(0.0) == "uncertain"


def _without(name: str) -> Callable[[State], Any]:
    return lambda state: {key: value for key, value in state.items() if key != name}


def _with(name: str, value: Tensor) -> Callable[[State], Any]:
    return lambda state: {**state, name: value}


@pytest.mark.parametrize(
    ("source", "change", "reason"),
    [
        pytest.param(
            "baseline", _without("match_batchnorm.weight"), "missing match_batchnorm.weight", id="a key is missing"
        ),
        pytest.param("paper", _without("backbone.conv5.0.bias"), "missing backbone.conv5.0.bias", id="of the other"),
        pytest.param(
            "vgg11_5c", _with("fc.weight", torch.ones(1)), "vgg11_5c: unexpected fc.weight", id="a key too many"
        ),
        pytest.param(
            "paper",
            _with("backbone.conv1.0.weight", torch.ones(192, 3, 11, 11)),
            r"backbone.conv1.0.weight is \(192, 3, 11, 11\), not \(96, 3, 11, 11\)",
            id="another width",
        ),
        pytest.param(
            "baseline",
            _with("embedding_net.fully_conv.0.bias", torch.full((96,), torch.inf)),
            "fully_conv.0.bias has values that are not finite",
            id="infinite",
        ),
        pytest.param("paper", lambda _: {"layer1.weight": torch.ones(1)}, "layer1.weight", id="another network"),
        pytest.param("paper", lambda _: {}, "nothing in it", id="nothing in it"),
        pytest.param("paper", lambda _: {"lr": 0.1, "steps": 3}, "not tensors: lr, steps", id="no tensors"),
        pytest.param("paper", lambda _: [torch.ones(1)], "no state dict but list", id="a list"),
        pytest.param("paper", lambda _: {1: torch.ones(1)}, "no state dict", id="numbered"),
    ],
)
def test_refusals_name_the_file_and_the_keys(
    source: str, change: Callable[[State], Any], reason: str, tmp_path: Path
) -> None:
    path = saved(change(SOURCES[source]().state_dict()), tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=reason) as caught:
        convert(path)
    assert str(path) in str(caught.value)


class _Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("this must not be printed",)


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved({"state_dict": {}, "epoch": _Malicious()}, tmp_path / "evil.pth.tar")
    with pytest.raises(CheckpointError, match="cannot be read"):
        convert(path)
    assert "printed" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(64)], ids=["empty", "text", "broken zip"])
def test_what_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "odd.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as a PyTorch checkpoint"):
        convert(path)


def test_numpys_numbers_beside_a_sound_state_are_allowed(tmp_path: Path) -> None:
    state = untrained(SiamFCPytorch()).state_dict()
    for content in ({"state_dict": state, **NUMBERS}, {**state, **NUMBERS}):
        assert convert(saved(content, tmp_path / "x.pth")).network.config.name == "paper"


def test_a_safetensors_file_of_public_keys_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "public.safetensors"
    save_file(dict(untrained(SiamFCPytorch()).state_dict()), path)
    assert convert(path).network.config.name == "paper"


def test_a_weights_file_of_ours_needs_no_conversion(tmp_path: Path) -> None:
    path = tmp_path / "ours.safetensors"
    save_weights(path, convert(saved(untrained(SiamFCPytorch()).state_dict(), tmp_path / "x.pth")))
    with pytest.raises(CheckpointError, match="is a weights file of ours already"):
        convert(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.pth"):
        convert(tmp_path / "none.pth")
