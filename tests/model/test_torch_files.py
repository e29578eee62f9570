"""Checkpoints as data: numpy's numbers are, programs are not, and torch's advice is never passed on."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from model.errors import CheckpointError
from model.torch_files import is_safetensors, load_tensors
from tests.support.odd_checkpoints import NUMBERS, ODD


@pytest.mark.parametrize("name", list(ODD))
def test_what_is_no_checkpoint_is_said_in_our_words(tmp_path: Path, name: str) -> None:
    make, message = ODD[name]
    path = tmp_path / "odd.pth"
    make(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_tensors(path, "a PyTorch checkpoint")
    text = str(caught.value)
    assert text.startswith(f"{path}: cannot be read as a PyTorch checkpoint: ")
    assert "\n" not in text
    for advice in ("weights_only", "trust", "safe_globals", "arbitrary"):
        assert advice not in text


@pytest.mark.parametrize("zipped", [True, False])
def test_numpys_numbers_are_data(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "state.pth"
    torch.save({"state_dict": {"w": torch.ones(2)}, **NUMBERS}, path, _use_new_zipfile_serialization=zipped)
    found = load_tensors(path, "a checkpoint")
    assert {name: found[name] for name in NUMBERS} == NUMBERS
    assert torch.equal(found["state_dict"]["w"], torch.ones(2))


def test_numpys_numbers_as_numpy_1_wrote_them(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save({"best": np.float64(0.5)}, path, _use_new_zipfile_serialization=False, pickle_protocol=2)
    data = path.read_bytes()
    assert b"numpy._core.multiarray" in data
    path.write_bytes(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert load_tensors(path, "a checkpoint") == {"best": 0.5}


def test_torch_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state.pth"
    torch.save(NUMBERS, path)
    load_tensors(path, "a checkpoint")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)


@pytest.mark.parametrize("content", [{"w": torch.ones(2)}, [torch.ones(2)], 3])
def test_what_torch_saves_is_read(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "state.pth"
    torch.save(content, path)
    assert type(load_tensors(path, "a checkpoint")) is type(content)
    assert not is_safetensors(path)


def test_safetensors_are_read(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    save_file({"w": torch.ones(2)}, path)
    assert is_safetensors(path)
    assert torch.equal(load_tensors(path, "a checkpoint")["w"], torch.ones(2))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.pth: cannot be read as a checkpoint: No such file"):
        load_tensors(tmp_path / "none.pth", "a checkpoint")
