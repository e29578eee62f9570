from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.boxes import Box
from model.checkpoints import Weights
from model.config import Preprocessing
from model.data.sequences import read_sequences
from model.evaluation.in_process import InProcessFollower
from model.evaluation.one_pass import evaluate
from model.images import InvalidImageError
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from model.inference.single import SingleTracker
from tests.support.networks import TINY, random_network
from tests.support.scenes import translation, write_sequence


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    weights = Weights(random_network(TINY), Preprocessing(mean=114.0, std=58.0))
    return load_predictor(weights, device="cpu", precision="fp32")


def test_files_are_followed_as_their_frames_are(predictor: Predictor, tmp_path: Path) -> None:
    scene = translation(frames=5)
    write_sequence(scene, tmp_path / "scene")
    sequences = read_sequences(tmp_path)
    report = evaluate(sequences, lambda: InProcessFollower(predictor))
    tracker = SingleTracker(predictor)
    tracker.start(scene.frames[0], Box(*sequences[0].truth[0].tolist()))
    boxes = [tracker.update(frame).box.as_list() for frame in scene.frames[1:]]
    np.testing.assert_array_equal(report.runs[0].boxes[1:], boxes)


def test_a_frame_that_is_no_image_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "1.jpg"
    path.write_bytes(b"no image")
    with pytest.raises(InvalidImageError, match=r"1\.jpg: the bytes"):
        InProcessFollower(predictor).start(path, Box(0, 0, 5, 5))
