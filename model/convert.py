"""Public SiamFC checkpoints to ours.

Two formats are known, told apart by their keys.

**rafellerc/Pytorch-SiamFC** (`BaselinePretrained.pth.tar`, and what its `train.py` saves): keys
`embedding_net.fully_conv.N.*` and `match_batchnorm.*`, under `state_dict`; presets `baseline`, `vgg11_5c`, `vgg16_8c`.
Images are RGB (imageio or jpeg4py: `utils/image_utils.py`, `get_decode_jpeg_fcn`). Their range differs: tracking
divides by 255 (`appSiamFC/producer.py`, `make_ref` and `make_score_map`), and so does training with its flag `safe`;
with the default flag, `fast`, training hands `ToTensor` a float32 array, which that does not scale
(`training/datasets.py`, `preprocess_sample`). The checkpoint itself tells which: `_pixel_range`. The context margin is
0.5 (`ref_context_size`), in training of half the box's sides.

**huanglianghua/siamfc-pytorch** (`siamfc_alexnet_e50.pth`): keys `backbone.convN.M.*`; preset `paper`. Images are RGB,
0..255, not normalised (`siamfc/ops.py`, `read_image`, which `TrackerSiamFC.track` uses; `siamfc/datasets.py`,
`Pair.__getitem__`). There is no match batch norm: the response is the correlation times 0.001 (`siamfc/heads.py`),
which ours is set to be. The context margin is 0.5 (`TrackerSiamFC.parse_args`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.calibration import Calibration
from model.checkpoints import Weights, save_weights
from model.config import Preprocessing, TrackerConfig, preset
from model.errors import CheckpointError
from model.network import SiamFC
from model.torch_files import load_tensors

_OUT_SCALE = 0.001
"""`out_scale` of huanglianghua/siamfc-pytorch."""
_CONVOLUTIONS = {"conv1": 0, "conv2": 4, "conv3": 8, "conv4": 11, "conv5": 14}
"""Where its blocks begin in the preset `paper`; a block's batch norm follows its convolution there and here."""

# Nothing is known of the scores of converted weights: no target is called lost, so that every frame may change the
# size, as in the sources.
_UNCALIBRATED = Calibration(lost_below=0.0)


@dataclass(frozen=True, slots=True)
class _Source:
    """A public format: its repository, the preset it becomes, and our name for each of its keys."""

    repository: str
    preset: str
    names: dict[str, str]


def convert_file(source: Path, out: Path) -> Weights:
    """Write a public checkpoint as one of ours, in fp32: as exact as the source. Raises as `convert` does."""
    weights = convert(source)
    save_weights(out, weights, dtype=torch.float32)
    return weights


def convert(path: Path) -> Weights:
    """Read a public checkpoint; the network is in eval mode, fp32, on the CPU.

    Nothing in the file is executed (`weights_only=True`). Raises CheckpointError, naming the file and the keys that
    are missing, unexpected or of another shape.
    """
    state, facts = _read(path)
    source = _recognise(path, state)
    network = SiamFC(preset(source.preset))
    if source.preset == "paper":
        _set_match_scale(network)
    _load(network, state, source, path)
    network.eval().requires_grad_(False)
    pixel_range = 255.0 if source.preset == "paper" else _pixel_range(network)
    return Weights(
        network=network,
        preprocessing=Preprocessing(order="rgb", mean=0.0, std=255.0 / pixel_range),
        constants=TrackerConfig(context=0.5),
        calibration=_UNCALIBRATED,
        training={"converted_from": source.repository, "pixel_range": pixel_range, **facts},
    )


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state dict, without a DataParallel wrapper's prefix, and what is known of the file."""
    content = load_tensors(path, "a PyTorch checkpoint")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    facts: dict[str, Any] = {"file": path.name, "source_sha256": digest}
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        if isinstance(content.get("epoch"), int):
            facts["epoch"] = content["epoch"]
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise CheckpointError(f"{path}: holds no state dict but {type(content).__name__}")
    content = {name: value for name, value in content.items() if not isinstance(value, np.generic)}
    odd = sorted(name for name, value in content.items() if not isinstance(value, Tensor))
    if odd or not content:
        raise CheckpointError(f"{path}: holds no state dict; not tensors: {', '.join(odd[:8]) or 'nothing in it'}")
    return {name.removeprefix("module."): value for name, value in content.items()}, facts


def _recognise(path: Path, state: dict[str, Tensor]) -> _Source:
    """The format of the state's keys; among several networks, the one whose keys differ least."""
    if "match_norm.weight" in state or any(name.startswith("embedding.") for name in state):
        raise CheckpointError(f"{path}: is a weights file of ours already; give it to --weights as it is")
    if any(name.startswith("backbone.conv") for name in state):
        return _siamfc_pytorch()
    if any(name.startswith("embedding_net.fully_conv.") for name in state):
        sources = [_pytorch_siamfc(name) for name in ("baseline", "vgg11_5c", "vgg16_8c")]
        return min(sources, key=lambda source: len(_faults(SiamFC(preset(source.preset)), state, source)))
    raise CheckpointError(
        f"{path}: neither embedding_net.fully_conv.N.* (rafellerc/Pytorch-SiamFC) nor backbone.convN.M.* "
        f"(huanglianghua/siamfc-pytorch) among its keys: {', '.join(sorted(state)[:8])}"
    )


def _pytorch_siamfc(preset_name: str) -> _Source:
    names: dict[str, str] = {}
    for ours in _parameters(SiamFC(preset(preset_name))):
        theirs = ours.replace("embedding.", "embedding_net.fully_conv.").replace("match_norm.", "match_batchnorm.")
        names[theirs] = ours
    return _Source("rafellerc/Pytorch-SiamFC", preset_name, names)


def _siamfc_pytorch() -> _Source:
    blocks = {
        str(start + part): f"backbone.{block}.{part}" for block, start in _CONVOLUTIONS.items() for part in (0, 1)
    }
    names: dict[str, str] = {}
    for ours in _parameters(SiamFC(preset("paper"))):
        if ours.startswith("embedding."):
            _, index, kind = ours.split(".")
            names[f"{blocks[index]}.{kind}"] = ours
    return _Source("huanglianghua/siamfc-pytorch", "paper", names)


def _parameters(network: SiamFC) -> dict[str, Tensor]:
    return {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}


def _faults(network: SiamFC, state: dict[str, Tensor], source: _Source) -> list[str]:
    """The reasons why the state is not that source's network, in the source's names."""
    expected = _parameters(network)
    given = {name for name in state if not name.endswith("num_batches_tracked")}
    faults = [f"missing {name}" for name in source.names.keys() - given]
    faults += [f"unexpected {name}" for name in given - source.names.keys()]
    for name in source.names.keys() & given:
        shape = tuple(expected[source.names[name]].shape)
        if tuple(state[name].shape) != shape:
            faults.append(f"{name} is {tuple(state[name].shape)}, not {shape}")
        elif not torch.isfinite(state[name]).all():
            faults.append(f"{name} has values that are not finite")
    return sorted(faults)


def _load(network: SiamFC, state: dict[str, Tensor], source: _Source, path: Path) -> None:
    faults = _faults(network, state, source)
    if faults:
        raise CheckpointError(f"{path}: does not fit {source.repository}'s {source.preset}: {'; '.join(faults)}")
    values = {ours: state[theirs].float() for theirs, ours in source.names.items()}
    network.load_state_dict(values, strict=False)


def _set_match_scale(network: SiamFC) -> None:
    """Make the match norm, in eval mode, a multiplication with `_OUT_SCALE` and nothing else."""
    norm = network.match_norm
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        norm.weight.fill_(_OUT_SCALE)
        norm.bias.zero_()
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)  # its square root with eps added is 1


def _pixel_range(network: SiamFC) -> float:
    """255 where the network was trained on pixels 0..255, else 1.

    The first batch norm's running mean is the mean output of the first convolution: its bias plus its kernel's sum
    times the mean pixel. The least-squares mean pixel over all channels is about 115 or about 0.45.
    """
    convolution, norm = network.embedding[0], network.embedding[1]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert convolution.bias is not None
    assert norm.running_mean is not None
    sums = convolution.weight.detach().sum((1, 2, 3)).double()
    lifted = (norm.running_mean - convolution.bias.detach()).double()
    mean_pixel = float((sums * lifted).sum() / (sums * sums).sum().clamp(min=1e-12))
    return 255.0 if mean_pixel > 7 else 1.0  # the geometric middle of 0.45 and 115
