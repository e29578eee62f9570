"""The benchmark of thin targets: its scenes are what they say, and its counts are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import thin
from benchmarks.thin import SHAPES, numbers, scene, table, target_share
from model.boxes import Box
from model.calibration import Status
from model.data.rendered import Photograph, Scene
from model.tracker import Track

THERE, AWAY = Box(0, 0, 100, 4), Box(0, 50, 100, 4)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_scene_moves_a_band_of_that_shape(shape: tuple[int, int]) -> None:
    made = scene(shape, "coffee", 6)
    assert made.present.all()
    assert (made.visible == 1).all()
    np.testing.assert_allclose(made.truth[:, 2:], [shape] * 6)
    steps = np.hypot(*np.diff(made.truth[:, :2], axis=0).T)
    np.testing.assert_allclose(steps, thin.SPEED)


@pytest.mark.parametrize("ground", ["chelsea", "coffee", "rocket"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_whole_scene_stays_in_the_frame(shape: tuple[int, int], ground: Photograph) -> None:
    made = scene(shape, ground, 60)
    assert (made.visible[[0, -1]] == 1).all()


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        pytest.param((60, 60), 0.25, id="a square"),  # 60 of 120 px on either side
        pytest.param((200, 3), 600 / (301.5 * 104.5), id="a thin one"),
    ],
)
def test_the_share_of_the_exemplar_that_is_target(shape: tuple[int, int], share: float) -> None:
    assert target_share(shape, 0.5) == pytest.approx(share)


def tracks(letters: str) -> list[Track]:
    """A letter a frame: t right and tracking, T wrong and tracking, U wrong and uncertain."""
    names: dict[str, tuple[Box, float, Status]] = {
        "t": (THERE, 0.9, "tracking"),
        "T": (AWAY, 0.9, "tracking"),
        "U": (AWAY, 0.3, "uncertain"),
    }
    return [
        Track(
            box=names[letter][0],
            first_size=(100, 4),
            fill=(0, 0, 0),
            score=names[letter][1],
            status=names[letter][2],
        )
        for letter in letters
    ]


def test_the_counts() -> None:
    truth = np.array([THERE.as_list()] * 5)
    made = Scene((), truth, np.ones(5))
    found = numbers([(made, tracks("ttTUt")), (made, tracks("ttttt"))], 0.05)
    # Seven of eight scores are 0.9, six of those frames right; one is 0.3 and wrong.
    assert (found.share, found.frames, found.wrong, found.called_tracking) == (0.05, 8, 2, 1)
    assert found.ece == pytest.approx((7 * abs(0.9 - 6 / 7) + 0.3) / 8, abs=1e-4)
    assert table({"numbers": {"100 x 4": {"share": 0.05, "frames": 8, "wrong": 2, "called_tracking": 1, "ece": 0.07}}})[
        1
    ] == ["100 x 4", "0.050", "8", "2", "1", "0.070"]


@pytest.mark.slow
def test_it_runs(light_weights: Path) -> None:
    result = thin.run(frames=4, weights=light_weights)
    assert list(result["numbers"]) == [*(f"{w} x {h}" for w, h in SHAPES), "thin"]
    assert result["numbers"]["thin"]["frames"] == 5 * 3 * 3
