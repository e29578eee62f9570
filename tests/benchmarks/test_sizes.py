"""Clips of any frame size, and the ways to track them that need no server."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks._contenders import OfOpenCV, opencv_contenders, truth_of
from benchmarks._sizes import SIZES, Clip
from benchmarks.frames import run
from model.boxes import iou


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Clip.rendered(SIZES["VGA"], 5)


def test_a_clip_is_the_same_frames_as_arrays_and_as_jpeg(clip: Clip) -> None:
    assert [frame.shape for frame in clip.bgr] == [(480, 640, 3)] * 5
    for frame, jpeg in zip(clip.bgr, clip.jpeg, strict=True):
        decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        assert np.abs(decoded.astype(int) - frame).mean() < 4


def test_the_face_is_where_the_truth_says(clip: Clip) -> None:
    cuts = [frame[y : y + h, x : x + w] for frame, (x, y, w, h) in zip(clip.bgr, clip.truth.astype(int), strict=True)]
    # It is the same but for the noise; the ground beside it is not.
    assert all(np.abs(cut.astype(int) - cuts[0]).mean() < 5 for cut in cuts[1:])
    x, y, w, h = clip.truth[-1].astype(int)
    assert np.abs(clip.bgr[0][y : y + h, x : x + w].astype(int) - cuts[0]).mean() > 10


def test_it_is_played_to_and_fro(clip: Clip) -> None:
    assert [clip.index(k) for k in range(10)] == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1]
    np.testing.assert_array_equal(truth_of(clip, 3, warm=3), clip.truth[[4, 3, 2]])


def test_a_tracker_of_opencv_follows_it(clip: Clip) -> None:
    (contender,) = opencv_contenders(("mil",), (), None).values()
    assert isinstance(contender, OfOpenCV)
    followed = contender.follow(clip, 3, warm=1)
    assert (len(followed.ms), followed.fps, followed.kb) == (3, None, None)
    assert iou(np.array(followed.boxes), truth_of(clip, 3, warm=1)).mean() > 0.5


def test_files_make_further_contenders() -> None:
    made = opencv_contenders((), (Path("backbone.onnx"), Path("head.onnx")), Path("vit.onnx"))
    assert list(made) == ["OpenCV nano", "OpenCV vit"]


def test_wrong_names_are_refused() -> None:
    with pytest.raises(ValueError, match="no size 8K; there are VGA, 720p, 1080p, 4K"):
        run(sizes=("VGA", "8K"))
    with pytest.raises(ValueError, match="mil"):
        opencv_contenders(("abacus",), (), None)
    with pytest.raises(ValueError):
        opencv_contenders((), (Path("backbone.onnx"),), None)
