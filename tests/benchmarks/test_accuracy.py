"""The benchmark of accuracy: nothing for the reference, something for a lesser precision, AUC where there is data."""

from __future__ import annotations

from pathlib import Path

from benchmarks import accuracy
from model.checkpoints import Weights
from model.config import Preprocessing
from model.inference.choice import REFERENCE, Candidate
from model.inference.loading import load_predictor
from tests.support.networks import TINY, random_network
from tests.support.scenes import translation, write_sequence

WEIGHTS = Weights(random_network(TINY), Preprocessing(mean=114.0, std=58.0))


def test_the_reference_does_not_drift_from_itself() -> None:
    exact, half = accuracy.drifts(WEIGHTS, (REFERENCE, Candidate("torch", "bf16")), [translation(6)])
    assert exact == {"runtime": "torch", "precision": "fp32", "drift_px": 0.0}
    assert (half["runtime"], half["precision"]) == ("torch", "bf16")
    assert half["drift_px"] >= 0


def test_auc_over_a_folder(tmp_path: Path) -> None:
    write_sequence(translation(4), tmp_path / "crossing")
    assert 0 <= accuracy.auc(load_predictor(WEIGHTS, device="cpu", precision="fp32"), tmp_path) <= 1


def test_the_table_leaves_out_what_was_not_measured() -> None:
    row = {"network": "paper", "runtime": "openvino", "precision": "int8", "drift_px": 0.25, "auc": None}
    assert accuracy.table({"rows": [row, row | {"auc": 0.66125}]}) == [
        ["network", "runtime", "precision", "mean drift (px)", "AUC"],
        ["paper", "openvino", "int8", "0.250", ""],
        ["paper", "openvino", "int8", "0.250", "0.6613"],
    ]
