from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from model.data.sequences import Sequence
from model.errors import ModelError
from model.evaluation.one_pass import Run
from model.evaluation.worst import overlap_by_frame, picture, worst_frames

ABSENT = [np.nan] * 4


def run_with(overlaps: list[float | None]) -> Run:
    """A run whose frames after the first overlap so much; None: the target is absent."""
    count = len(overlaps) + 1
    truth = np.array([[0.0, 0, 10, 10]] + [ABSENT if each is None else [0.0, 0, 10, 10] for each in overlaps])
    boxes = np.array([[0.0, 0, 10, 10]] + [[0, 0, 10, 10 * (each or 0.0)] for each in overlaps])
    frames = tuple(Path(f"{index}.jpg") for index in range(count))
    return Run(Sequence("s", frames, truth), boxes, np.full(count, np.nan), np.ones(count))


@pytest.mark.parametrize(
    ("overlaps", "count", "apart", "expected"),
    [
        pytest.param([0.9, 0.1, 0.5], 1, 1, [2], id="the worst"),
        pytest.param([0.9, 0.1, 0.5], 2, 1, [2, 3], id="in the order of frames"),
        pytest.param([0.1, 0.2, 0.3, 0.9], 2, 2, [1, 3], id="no neighbours"),
        pytest.param([0.9, 0.0, 0.0, 0.0], 1, 1, [2], id="the first of equals"),
        pytest.param([0.9, None, 0.5], 1, 1, [3], id="an absent frame is none"),
        pytest.param([0.9, 0.8], 9, 10, [2], id="fewer than asked for"),
        pytest.param([0.9, 0.8], 0, 1, [], id="none asked for"),
    ],
)
def test_worst_frames(overlaps: list[float | None], count: int, apart: int, expected: list[int]) -> None:
    assert worst_frames(run_with(overlaps), count, apart) == expected


def test_overlap_by_frame_has_gaps_where_nothing_is_scored() -> None:
    np.testing.assert_allclose(overlap_by_frame(run_with([0.5, None, 1.0])), [np.nan, 0.5, np.nan, 1.0])


def decoded(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image[..., ::-1]


def test_a_picture_is_scaled_with_its_boxes(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((200, 800, 3), 128, np.uint8))
    boxes = [(np.array([80.0, 40, 160, 80]), (255, 0, 0)), (np.full(4, np.nan), (0, 255, 0))]
    shown = decoded(picture(path, boxes, width=400, quality=95))
    assert shown.shape == (100, 400, 3)
    # The left edge lies at half of 80, between the upper and the lower one at 20 and 60.
    red = (shown[..., 0].astype(int) - shown[..., 2]) > 60
    assert red[30:50, 39:42].any(axis=1).all()
    assert not red[:, :36].any()
    assert not red[:, 130:].any()


def test_a_small_picture_stays_as_it_is_and_a_far_box_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((20, 30, 3), 128, np.uint8))
    assert decoded(picture(path, [(np.array([-1e9, 5, 1e10, 5]), (255, 0, 0))])).shape == (20, 30, 3)


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.jpg"):
        picture(tmp_path / "none.jpg", [])
