"""Weights on disk: one safetensors file, with preset, preprocessing, constants and calibration in its metadata."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from model.calibration import Calibration
from model.config import Preprocessing, TrackerConfig, preset
from model.errors import CheckpointError, ConfigError
from model.file_kinds import foreign_kind
from model.files import replacing
from model.network import SiamFC
from model.torch_files import is_safetensors
from model.tracker import Tracker

FORMAT = "siamfc-service/1"


@dataclass(frozen=True, slots=True)
class Weights:
    """A trained network with its input preprocessing, the tracker's constants and the score's calibration.

    `training` holds facts about how it came to be (free-form, plain JSON values); `sha256` is the file's, empty for
    weights that were not loaded from one.
    """

    network: SiamFC
    preprocessing: Preprocessing
    constants: TrackerConfig = field(default_factory=TrackerConfig)
    calibration: Calibration = field(default_factory=Calibration)
    training: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""

    @property
    def tracker(self) -> Tracker:
        """The pure steps of tracking with this network."""
        return Tracker(self.network.config, self.constants, self.calibration)


def bundled_names() -> list[str]:
    """The presets whose weights ship with the package."""
    folder = resources.files("model") / "pretrained"
    return sorted(Path(file.name).stem for file in folder.iterdir() if file.name.endswith(".safetensors"))


def bundled_weights(name: str = "swift") -> Path:
    """The weights file of a preset that ships with the package. Raises CheckpointError where there is none."""
    if name not in bundled_names():
        raise CheckpointError(f"no weights for the preset {name!r} ship with this package")
    return Path(str(resources.files("model") / "pretrained" / f"{name}.safetensors"))


def find_weights(given: Path | None) -> Path:
    """The weights file of a path or a bundled name; the default one where nothing is given.

    Raises CheckpointError for a name that is neither a file nor bundled.
    """
    if given is None:
        return bundled_weights()
    if str(given) in bundled_names() and not given.is_file():
        return bundled_weights(str(given))
    if not given.is_file():
        raise CheckpointError(f"{given}: no such file; the weights that ship are {', '.join(bundled_names())}")
    return given


def save_weights(path: Path, weights: Weights, *, dtype: torch.dtype = torch.float16) -> None:
    """Write a weights file; kernels are stored as `dtype`, what has one number a channel stays fp32.

    The file appears whole or not at all. Raises OSError.
    """
    tensors = {
        name: (value.to(dtype) if value.ndim > 1 else value).contiguous()
        for name, value in weights.network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    metadata = {
        "format": FORMAT,
        "preset": weights.network.config.name,
        "preprocessing": json.dumps(dataclasses.asdict(weights.preprocessing)),
        "tracker": json.dumps(dataclasses.asdict(weights.constants)),
        "calibration": json.dumps(dataclasses.asdict(weights.calibration)),
        "training": json.dumps(weights.training),
    }
    with replacing(path) as partial:
        save_file(tensors, partial, metadata)


def load_weights(path: Path) -> Weights:
    """Read a weights file strictly; the network is in eval mode, fp32, on the CPU.

    Raises CheckpointError, naming the file and the keys that are missing, unexpected or of another shape.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read as a weights file: {_why_unread(path, error)}") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a {FORMAT} file (its format is {metadata.get('format')!r})")
    try:
        network = SiamFC(preset(metadata["preset"]))
        fields = {name: json.loads(metadata[name]) for name in ("preprocessing", "tracker", "calibration", "training")}
        weights = Weights(
            network=network,
            preprocessing=Preprocessing.from_dict(fields["preprocessing"]),
            constants=TrackerConfig.from_dict(fields["tracker"]),
            calibration=Calibration.from_dict(fields["calibration"]),
            training=fields["training"],
            sha256=digest,
        )
    except (KeyError, TypeError, json.JSONDecodeError, ConfigError) as error:
        raise CheckpointError(f"{path}: its metadata cannot be used: {error}") from error
    load_strictly(network, tensors, path)
    network.eval().requires_grad_(False)
    return weights


def _why_unread(path: Path, error: Exception) -> str:
    """The reason in our own words, where the file shows it."""
    try:
        kind = foreign_kind(path)
        if kind is not None:
            return f"it is {kind}"
        if is_safetensors(path):
            return f"a safetensors file, but cut short or damaged ({error})"
        if zipfile.is_zipfile(path) or path.read_bytes()[:1] == b"\x80":
            return "it is a PyTorch file; `siamfc convert` makes a weights file of a public checkpoint"
    except OSError as unread:
        return unread.strerror or str(unread)
    return f"it is no safetensors file ({error})"


def load_strictly(network: SiamFC, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Put `tensors` into `network`; raises CheckpointError with every key that does not fit. `path` is for the text."""
    expected = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    faults = [f"missing {name}" for name in expected.keys() - tensors.keys()]
    faults += [f"unexpected {name}" for name in tensors.keys() - expected.keys()]
    faults += [
        f"{name} is {tuple(tensors[name].shape)}, not {tuple(expected[name].shape)}"
        for name in expected.keys() & tensors.keys()
        if tensors[name].shape != expected[name].shape
    ]
    faults += [
        f"{name} has values that are not finite"
        for name in expected.keys() & tensors.keys()
        if not torch.isfinite(tensors[name]).all()
    ]
    if faults:
        raise CheckpointError(f"{path}: does not fit the network {network.config.name}: {'; '.join(sorted(faults))}")
    network.load_state_dict({name: value.to(expected[name].dtype) for name, value in tensors.items()}, strict=False)
