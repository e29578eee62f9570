"""`siamfc tune`: what it is given, what it writes. The search itself: tests/model/tuning/test_tune.py."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import cv2
import pytest

from model.checkpoints import load_weights, save_weights
from model.config import TrackerConfig
from model.tuning.tune import PYRAMID_BOUNDS
from tests.siamfc.cli.conftest import Run
from tests.support.networks import random_weights
from tests.support.scenes import translation


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of three frames: two to search on, one to check."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = []
    with tarfile.open(folder / "videos-00.tar", "w") as tar:
        for name in ("dog", "cat", "cow"):
            scene = translation(3)
            members = [f"{name}/{index}.png" for index in range(3)]
            for member, frame in zip(members, scene.frames, strict=True):
                data = cv2.imencode(".png", frame)[1].tobytes()
                entry = tarfile.TarInfo(member)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
            track = {"id": 0, "boxes": scene.truth.tolist()}
            rows.append(
                {"shard": "videos-00.tar", "clip": f"s/{name}", "source": "s", "frames": members, "tracks": [track]}
            )
    (folder / "videos.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(path, random_weights())
    return path


def test_what_is_found_is_printed_and_written(run: Run, corpus: Path, weights: Path, tmp_path: Path) -> None:
    out, saved = tmp_path / "found.json", tmp_path / "tuned.safetensors"
    arguments = ["--corpus", corpus, "--weights", weights, "--trials", 2, "--frames", 3]
    result = run("tune", *arguments, "--device", "cpu", "--runtime", "torch", "--out", out, "--save", saved)
    assert result.exit_code == 0, result.stderr
    assert "siamfc tune: 2 candidates" in result.stderr
    assert "chosen: " in result.stdout
    found = json.loads(out.read_text())
    chosen = TrackerConfig.from_dict(found["tracker"])
    assert load_weights(saved).constants == chosen
    assert found["improved"] is (chosen != load_weights(weights).constants)
    assert (found["config"]["trials"], found["weights"]) == (2, load_weights(weights).sha256)
    assert set(found["trials"][0]) == {"ao", *PYRAMID_BOUNDS}
    assert len(found["trials"]) + found["dropped"] == 2
    assert set(found["search"]) == set(found["check"]) == {"present", "best"}


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        pytest.param(["--minutes", 0], "minutes must lie in", id="no time"),
        pytest.param(["--frames", 1], "frames must lie in", id="too few frames"),
        pytest.param(["--out", "/no/such/found.json"], "no folder /no/such", id="no place for the result"),
        pytest.param(["--save", "/no/such/w.safetensors"], "no folder /no/such", id="no place for the weights"),
        pytest.param(["--save", "w.pth"], ".safetensors", id="another ending"),
        pytest.param(["--trails", 3], "--trails", id="a misspelt option"),
    ],
)
def test_refusals(run: Run, corpus: Path, arguments: list[object], part: str) -> None:
    result = run("tune", "--corpus", corpus, *arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert part in result.stderr


def test_evaluation_sequences_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "Man" / "img").mkdir(parents=True)
    (tmp_path / "Man" / "groundtruth.txt").touch()
    result = run("tune", "--corpus", tmp_path)
    assert result.exit_code == 2
    assert "an evaluation sequence; constants are chosen on training clips alone" in result.stderr
