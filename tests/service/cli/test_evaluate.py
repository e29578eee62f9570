"""`siamfc eval`, in process and through a server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from model.inference import Predictor
from tests.service.cli.conftest import COUNT, Run
from tests.support.fake_server import FakeServer


@pytest.fixture
def sequences(folder: Path, tmp_path: Path) -> Path:
    """One sequence, whose truth moves one pixel a frame, as the fake server's answers do."""
    root = tmp_path / "sequences"
    shutil.copytree(folder, root / "square" / "img", ignore=shutil.ignore_patterns("*.txt"))
    truth = np.array([[10 + index, 20, 8, 6] for index in range(COUNT)], float)
    np.savetxt(root / "square" / "groundtruth.txt", truth, delimiter=",")
    return root


def test_through_a_server(run: Run, server: FakeServer, sequences: Path) -> None:
    result = run("eval", sequences, "--server", server.url, "--json", "--boxes")
    assert (result.exit_code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    # IoU 1 on every frame: above every threshold but 1 itself, 20 of 21.
    assert report["mean"]["auc"] == pytest.approx(20 / 21)
    assert {"auc", "precision_20", "ao", "sr_50", "sr_75", "fps"} <= set(report["mean"])
    assert report["sequences"]["square"]["boxes"] == [[10 + index, 20, 8, 6] for index in range(COUNT)]
    assert server.sessions == {}


def test_in_process(
    run: Run, monkeypatch: pytest.MonkeyPatch, tiny_predictor: Predictor, sequences: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("service.cli.evaluate.make_predictor", lambda *_: tiny_predictor)
    out = tmp_path / "out.json"
    assert run("eval", sequences, "--json", out).exit_code == 0
    report = json.loads(out.read_text())
    assert list(report["sequences"]) == ["square"]
    assert "boxes" not in report["sequences"]["square"]
    table = run("eval", sequences)
    assert table.exit_code == 0
    assert "square" in table.stdout
    assert "auc" in table.stdout


def test_a_frame_that_cannot_be_decoded_is_named(run: Run, server: FakeServer, sequences: Path) -> None:
    broken = sequences / "square" / "img" / "10.png"
    broken.write_bytes(b"no image")
    result = run("eval", sequences, "--server", server.url)
    assert result.exit_code == 2
    assert str(broken) in result.stderr
    assert server.sessions == {}


def test_no_sequences(run: Run, server: FakeServer, tmp_path: Path) -> None:
    result = run("eval", tmp_path, "--server", server.url)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_no_place_to_write(run: Run, server: FakeServer, sequences: Path) -> None:
    result = run("eval", sequences, "--server", server.url, "--json", "/no/such/folder/out.json")
    assert result.exit_code == 2
    assert "/no/such/folder/out.json" in result.stderr
