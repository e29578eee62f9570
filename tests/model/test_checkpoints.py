from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from model.calibration import Calibration
from model.checkpoints import FORMAT, Weights, bundled_names, bundled_weights, find_weights, load_weights, save_weights
from model.config import Preprocessing, TrackerConfig, preset
from model.errors import CheckpointError
from tests.support.networks import random_network, random_weights

Change = Callable[[dict[str, torch.Tensor], dict[str, str]], None]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return Weights(
        random_network(preset("paper")),
        Preprocessing(order="bgr", mean=100.0, std=50.0),
        TrackerConfig(scales=5, scale_step=1.02),
        Calibration(bias=-1, logit=0.5, contrast=0.25),
        {"steps": 7, "dev": {"auc": 0.5}},
    )


@pytest.fixture(scope="module")
def saved(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "paper.safetensors"
    save_weights(path, weights, dtype=torch.float32)
    return path


def test_round_trip_in_full_precision_is_exact(weights: Weights, saved: Path) -> None:
    loaded = load_weights(saved)
    expected = weights.network.state_dict()
    for name, value in loaded.network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, expected[name]), name
    assert loaded.network.config == weights.network.config
    assert (loaded.preprocessing, loaded.constants) == (weights.preprocessing, weights.constants)
    assert (loaded.calibration, loaded.training) == (weights.calibration, weights.training)


def test_a_loaded_network_is_ready_to_run(saved: Path) -> None:
    network = load_weights(saved).network
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32, torch.int64}


def test_half_precision_halves_the_kernels_and_keeps_the_norms(weights: Weights, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_weights(path, weights)
    assert path.stat().st_size < 0.52 * saved.stat().st_size
    loaded, expected = load_weights(path).network.state_dict(), weights.network.state_dict()
    for name, value in loaded.items():
        assert value.dtype == expected[name].dtype
        if value.ndim > 1:
            # Eleven bits of mantissa; below 2**-14, steps of 2**-24.
            torch.testing.assert_close(value, expected[name], rtol=2**-11, atol=2**-24)
        elif not name.endswith("num_batches_tracked"):
            assert torch.equal(value, expected[name]), name


def test_the_hash_is_the_files(saved: Path) -> None:
    assert load_weights(saved).sha256 == hashlib.sha256(saved.read_bytes()).hexdigest()


def _edit(saved: Path, path: Path, change: Change) -> Path:
    tensors = load_file(saved)
    with safe_open(saved, framework="pt") as file:
        metadata = dict(file.metadata())
    change(tensors, metadata)
    save_file(tensors, path, metadata)
    return path


def _drop(name: str) -> Change:
    return lambda tensors, _: tensors.__delitem__(name)


def _put(name: str, value: Any) -> Change:
    return lambda tensors, _: tensors.update({name: value})


def _say(name: str, value: str) -> Change:
    return lambda _, metadata: metadata.update({name: value})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(_drop("embedding.4.weight"), "missing embedding.4.weight", id="missing key"),
        pytest.param(_put("head.weight", torch.zeros(2)), "unexpected head.weight", id="unexpected key"),
        pytest.param(
            _put("embedding.14.bias", torch.zeros(32)), r"embedding.14.bias is \(32,\), not \(256,\)", id="wrong shape"
        ),
        pytest.param(
            _put("match_norm.bias", torch.tensor([torch.nan])), "match_norm.bias has values that are not", id="nan"
        ),
        pytest.param(_say("format", "siamfc-service/0"), "not a siamfc-service/1 file", id="another format"),
        pytest.param(_say("preset", "resnet"), "no network preset 'resnet'", id="unknown preset"),
        pytest.param(_say("preset", "baseline"), "does not fit the network baseline", id="another preset"),
        pytest.param(lambda _, metadata: metadata.__delitem__("tracker"), "tracker", id="metadata missing"),
        pytest.param(_say("tracker", "{"), "metadata cannot be used", id="metadata is no JSON"),
        pytest.param(_say("tracker", "3"), "metadata cannot be used", id="metadata is a number"),
        pytest.param(_say("tracker", '{"scalez": 3}'), "no field scalez", id="unknown field"),
        pytest.param(_say("tracker", '{"scales": 4}'), "scales must be", id="value out of bounds"),
        pytest.param(_say("preprocessing", '{"std": "58"}'), "metadata cannot be used", id="text for a number"),
        pytest.param(_say("calibration", '{"bias": NaN}'), "finite", id="nan in metadata"),
    ],
)
def test_refusals_name_the_file_and_what_is_wrong(saved: Path, tmp_path: Path, change: Change, reason: str) -> None:
    path = _edit(saved, tmp_path / "broken.safetensors", change)
    with pytest.raises(CheckpointError, match=reason) as caught:
        load_weights(path)
    assert str(path) in str(caught.value)


def test_every_fault_is_named_at_once(saved: Path, tmp_path: Path) -> None:
    def change(tensors: dict[str, torch.Tensor], _: dict[str, str]) -> None:
        del tensors["embedding.0.weight"]
        tensors["extra"] = torch.zeros(1)

    with pytest.raises(CheckpointError, match=r"missing embedding.0.weight; unexpected extra"):
        load_weights(_edit(saved, tmp_path / "broken.safetensors", change))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not weights at all", id="text"),
        pytest.param(b"PK\x03\x04" + bytes(100), id="a zip"),
        pytest.param((10**12).to_bytes(8, "little") + b"{}", id="a header of a terabyte"),
    ],
)
def test_what_is_no_weights_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as a weights file") as caught:
        load_weights(path)
    assert str(path) in str(caught.value)


def test_a_truncated_file_is_refused(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.safetensors"
    path.write_bytes(saved.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_weights(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.safetensors"):
        load_weights(tmp_path / "none.safetensors")


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=f"not a {FORMAT} file"):
        load_weights(path)


def test_the_metadata_is_readable_by_others(saved: Path) -> None:
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == FORMAT
    assert metadata["preset"] == "paper"
    assert json.loads(metadata["preprocessing"]) == {"order": "bgr", "mean": 100.0, "std": 50.0}


def test_saving_leaves_the_weights_as_they_were(tmp_path: Path) -> None:
    weights = random_weights()
    before = {name: value.clone() for name, value in weights.network.state_dict().items()}
    save_weights(tmp_path / "w.safetensors", weights)
    assert all(torch.equal(before[name], value) for name, value in weights.network.state_dict().items())


def test_the_bundled_weights_load() -> None:
    weights = load_weights(bundled_weights())
    assert weights.network.config.name == "swift"
    assert len(weights.sha256) == 64


def test_bundled_weights_that_do_not_exist_are_refused() -> None:
    with pytest.raises(CheckpointError, match="'vgg99'"):
        bundled_weights("vgg99")


def test_weights_by_name_and_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_weights(None) == bundled_weights("swift")
    for name in bundled_names():
        assert find_weights(Path(name)) == bundled_weights(name)
        assert load_weights(find_weights(Path(name))).network.config.name == name
    # A file goes before a name.
    monkeypatch.chdir(tmp_path)
    Path("paper").write_bytes(b"")
    assert find_weights(Path("paper")) == Path("paper")


@pytest.mark.parametrize("given", ["vgg99", "absent.safetensors", "."])
def test_what_is_neither_a_file_nor_a_name_is_refused_with_the_names(given: str) -> None:
    with pytest.raises(CheckpointError, match=f"^{re.escape(given)}: no such file; .* paper"):
        find_weights(Path(given))
