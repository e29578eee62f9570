"""Files of `torch.save`, read as data alone; what is none of them is said in our own words.

torch's own messages advise loading an untrusted file in a way that executes what is in it. None of them is passed on.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.serialization import safe_globals

from model.errors import CheckpointError
from model.file_kinds import foreign_kind

_DAMAGED = "it is cut short or damaged"
_NUMBERS = "?bhilqBHILQefd"
"""numpy's codes of the types whose scalars a training script may have left beside its state dict."""


def load_tensors(path: Path, what: str, device: torch.device | str = "cpu") -> Any:
    """What the file holds: tensors, plain values and numpy's numbers; nothing in it is executed.

    A safetensors file gives its tensors by name. `what` is wanted, for the message. Raises CheckpointError, naming the
    file and what it is instead.
    """
    try:
        kind = foreign_kind(path)
        if kind is None and is_safetensors(path):
            return load_file(path, str(device))
        if kind is None and _is_torchscript(path):
            kind = "a TorchScript archive, which is a program; save its state dict (torch.save(model.state_dict(), …))"
        if kind is None and not (zipfile.is_zipfile(path) or _begins_as_pickle(path)):
            kind = _DAMAGED.removeprefix("it is ") if _begins_as_zip(path) else "no file of torch.save"
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read as {what}: {error.strerror}") from error
    except SafetensorError as error:
        raise CheckpointError(f"{path}: cannot be read as {what}: a safetensors file, but {_DAMAGED}") from error
    if kind is not None:
        raise CheckpointError(f"{path}: cannot be read as {what}: it is {kind}")
    try:
        with safe_globals(_numbers()), warnings.catch_warnings():
            # torch warns of pickles that it did not write itself, and reads or refuses them all the same.
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            return torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: cannot be read as {what}: {_refused(str(error))}") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: cannot be read as {what}: {_DAMAGED}") from error


def is_safetensors(path: Path) -> bool:
    """Whether the file begins as safetensors do: the header's length, then JSON. Raises OSError."""
    with path.open("rb") as file:
        start = file.read(10)
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**32


def _refused(message: str) -> str:
    """Why the restricted unpickler stopped; torch names the first object that is no data."""
    named = re.search(r"(?:GLOBAL|class|global)\s+`?([A-Za-z_][\w.]*\.[\w.]*\w)", message)
    if named is None and "weights_only" not in message:
        return _DAMAGED
    of = f" ({named.group(1)})" if named else ""
    return (
        f"it holds Python objects{of}, not tensors alone, and loading them would run code; where it was made, save the "
        "network's state dict (torch.save(model.state_dict(), …))"
    )


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _begins_as_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == b"\x80"


def _begins_as_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _numbers() -> list[Any]:
    """numpy's scalars and what they are made of, by the names that numpy 1 and 2 pickle them under."""
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    types = [type(np.dtype(code)) for code in _NUMBERS]
    return [np.dtype, scalar, (scalar, "numpy.core.multiarray.scalar"), *dict.fromkeys(types)]
