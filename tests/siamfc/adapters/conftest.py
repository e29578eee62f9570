"""A rendered target that moves, and a predictor that follows it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from model.checkpoints import find_weights, load_weights
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from siamfc.backends import Backend
from siamfc.in_process import InProcess
from tests.support.scenes import scale_change, translation

FRAMES = 12


@pytest.fixture(scope="session")
def light() -> Predictor:
    return load_predictor(load_weights(find_weights(Path("light"))), device="cpu", runtime="torch", precision="fp32")


@pytest.fixture
def backend(light: Predictor) -> Backend:
    return InProcess(light)


@pytest.fixture(scope="session")
def otb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sequences in OTB's layout under names that OTB has, with boxes as they stand."""
    root = tmp_path_factory.mktemp("otb")
    for name, scene in (("Couple", translation(FRAMES)), ("Deer", scale_change(FRAMES))):
        images = root / name / "img"
        images.mkdir(parents=True)
        for index, frame in enumerate(scene.frames, 1):
            assert cv2.imwrite(str(images / f"{index:04d}.jpg"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        # Three places, as ground truth has them: the toolkit reads the file, and we the same.
        np.savetxt(root / name / "groundtruth.txt", scene.truth, fmt="%.3f", delimiter=",")
    return root
