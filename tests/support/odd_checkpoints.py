"""Files that are given as checkpoints and are none, or hold more than tensors; all made here."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn


def _pickled_model(path: Path) -> None:
    torch.save(nn.Sequential(nn.Conv2d(3, 4, 3)), path)


def _old_pickled_model(path: Path) -> None:
    torch.save(nn.Sequential(nn.Conv2d(3, 4, 3)), path, _use_new_zipfile_serialization=False)


def _torchscript(path: Path) -> None:
    # What marks one; writing it with torch.jit warns in newer versions.
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/constants.pkl", b"\x80\x02).")
        archive.writestr("model/data.pkl", b"\x80\x02}.")


def _cut(path: Path) -> None:
    torch.save({"weight": torch.ones(500)}, path)
    path.write_bytes(path.read_bytes()[:700])


def _old_cut(path: Path) -> None:
    torch.save({"weight": torch.ones(500)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-100])


def _cut_safetensors(path: Path) -> None:
    save_file({"weight": torch.ones(500)}, path)
    path.write_bytes(path.read_bytes()[:-20])


def _bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (_bytes(b""), r"it is empty \(0 bytes\)"),
    "a web page": (_bytes(b"<!DOCTYPE html><html>Sign in</html>"), r"it is a web page \(HTML\)"),
    "a Git LFS pointer": (_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "a Git LFS pointer"),
    "a MATLAB file": (_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(200)), "it is a MATLAB file"),
    "a MATLAB file of version 7.3": (_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200)), "an HDF5 file, as MATLAB"),
    "a pickled model": (_pickled_model, r"it holds Python objects \(torch\.nn.*\), not tensors alone"),
    "a pickled model of torch before 1.6": (_old_pickled_model, "it holds Python objects"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps({"a": Path("b")})), "it holds Python objects"),
    "TorchScript": (_torchscript, "it is a TorchScript archive"),
    "cut short": (_cut, "it is cut short or damaged"),
    "cut short, torch before 1.6": (_old_cut, "it is cut short or damaged"),
    "a broken safetensors file": (_cut_safetensors, "a safetensors file, but it is cut short or damaged"),
    "text": (_bytes(b"hello"), "it is no file of torch.save"),
}
"""By name: what makes the file, and what is said of it."""

NUMBERS = {"best": np.float64(0.5), "epoch": np.int64(3), "fast": np.bool_(True), "lr": np.float32(0.1)}
"""numpy's scalars, as training scripts leave them beside a state dict."""
