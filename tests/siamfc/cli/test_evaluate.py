"""`siamfc eval`, in process and through a server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from model.inference.predictor import Predictor
from tests.siamfc.cli.conftest import COUNT, Run
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
    # The fake server's score is what the report judges.
    assert report["calibration"]["frames"] == COUNT - 1
    assert report["mean"]["auroc"] is None
    assert report["mean"]["ece"] == pytest.approx(1 - report["calibration"]["score"])
    assert report["sequences"]["square"]["boxes"] == [[10 + index, 20, 8, 6] for index in range(COUNT)]
    assert server.sessions == {}


def test_in_process(
    run: Run, monkeypatch: pytest.MonkeyPatch, tiny_predictor: Predictor, sequences: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("siamfc.cli.evaluate.make_predictor", lambda *_: tiny_predictor)
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


def test_plots_and_a_page(run: Run, server: FakeServer, sequences: Path, tmp_path: Path) -> None:
    out = tmp_path / "plots"
    assert run("eval", sequences, "--server", server.url, "--plots", out, "--name", "mine").exit_code == 0
    assert {path.name for path in out.iterdir()} == {"success.png", "precision.png", "reliability.png", "report.html"}
    assert "mine: one-pass evaluation over 1 sequences" in (out / "report.html").read_text()


def test_beside_another_tracker(run: Run, server: FakeServer, sequences: Path, tmp_path: Path) -> None:
    result = run("eval", sequences, "--server", server.url, "--compare", "MIL", "--json", tmp_path / "out.json")
    assert (result.exit_code, result.stderr) == (0, "")
    report = json.loads((tmp_path / "out.json").read_text())
    assert set(report["compare"]) == {"mil"}
    assert list(report["compare"]["mil"]["sequences"]) == list(report["sequences"])
    assert report["compare"]["mil"]["calibration"] is None


def test_result_files(run: Run, server: FakeServer, sequences: Path, tmp_path: Path) -> None:
    assert run("eval", sequences, "--server", server.url, "--got10k", tmp_path / "results").exit_code == 0
    lines = (tmp_path / "results" / "GOT-10k" / "SiamFC" / "square" / "square_001.txt").read_text().splitlines()
    assert lines == [f"{11 + index}.000,21.000,8.000,6.000" for index in range(COUNT)]


def test_a_test_set_is_followed_and_not_scored(run: Run, server: FakeServer, sequences: Path, tmp_path: Path) -> None:
    images = sequences / "square" / "img"
    for path in images.iterdir():
        path.rename(path.parent.parent / path.name)
    images.rmdir()
    (sequences / "square" / "groundtruth.txt").write_text("11,21,8,6\n")
    result = run("eval", sequences, "--server", server.url, "--got10k", tmp_path)
    said = "tracked 1 sequences; without ground truth there is nothing to score\n"
    assert (result.exit_code, result.stdout) == (0, said)
    assert len((tmp_path / "GOT-10k" / "SiamFC" / "square" / "square_001.txt").read_text().splitlines()) == COUNT
    refused = run("eval", sequences, "--server", server.url, "--got10k", tmp_path, "--json")
    assert refused.exit_code == 2
    assert "no ground truth" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        pytest.param(["--compare", "csrtt"], "no tracker 'csrtt'", id="no such tracker"),
        pytest.param(["--compare", "mil,MIL"], "different names", id="the same twice"),
        pytest.param(["--compare", "mil,"], "different names", id="an empty name"),
        pytest.param(["--compare", "mil", "--name", "mil"], "different names", id="two of one name"),
        pytest.param(["--got10k", "out", "--name", "../mine"], "tracker's name", id="a name that is no folder's"),
        pytest.param(["--plots", "/proc/none"], "/proc/none: cannot be written", id="plots nowhere"),
        pytest.param(["--got10k", "/proc/none"], "/proc/none: cannot be written", id="results nowhere"),
    ],
)
def test_refusals(run: Run, server: FakeServer, sequences: Path, arguments: list[str], part: str) -> None:
    result = run("eval", sequences, "--server", server.url, *arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert part in result.stderr
    assert server.sessions == {}
