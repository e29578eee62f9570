"""The bundled weights on rendered scenes: how well they must track at least.

The bounds lie well below what was measured when they were set (in brackets), so that other weights and other machines
pass, and a tracker that has lost its way does not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from model.boxes import Box, iou
from model.checkpoints import Weights, bundled_names, bundled_weights, load_weights
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from model.inference.single import SingleTracker
from model.tracker import Track
from tests.support.scenes import Scene, leaving_and_returning, occlusion, scale_change, translation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=bundled_names())
def weights(request: pytest.FixtureRequest) -> Weights:
    return load_weights(bundled_weights(request.param))


@pytest.fixture(scope="module")
def exact(weights: Weights) -> Predictor:
    return load_predictor(weights, device="cpu", precision="fp32")


def tracked(scene: Scene, predictor: Predictor) -> list[Track]:
    """The track after every frame, the first included."""
    tracker = SingleTracker(predictor)
    first = tracker.start(scene.frames[0], Box(*scene.truth[0].tolist()))
    return [first, *(tracker.update(frame) for frame in scene.frames[1:])]


def overlaps(scene: Scene, tracks: list[Track]) -> np.ndarray:
    return iou(np.array([track.box.as_list() for track in tracks]), scene.truth)


@pytest.mark.parametrize(
    ("make", "frames", "mean", "least"),
    [
        pytest.param(translation, 16, 0.85, 0.70, id="translation"),  # [0.97, 0.96]
        pytest.param(occlusion, 18, 0.80, 0.60, id="half occluded"),  # [0.96, 0.88]
    ],
)
def test_a_target_in_view_is_kept(
    make: Callable[[int], Scene], frames: int, mean: float, least: float, exact: Predictor
) -> None:
    scene = make(frames)
    overlap = overlaps(scene, tracked(scene, exact))[1:]
    assert overlap.mean() > mean
    assert overlap.min() > least


def test_a_growing_target_is_given_a_growing_box(exact: Predictor) -> None:
    scene = scale_change(20, growth=1.5)
    tracks = tracked(scene, exact)
    overlap = overlaps(scene, tracks)[1:]
    assert overlap.mean() > 0.7  # [0.83]
    assert overlap.min() > 0.6  # [0.79]
    assert tracks[-1].box.w > 1.15 * tracks[0].box.w


def test_a_target_that_leaves_is_found_when_it_returns(exact: Predictor) -> None:
    # Over a busy picture; over the rocket's plain sky the search drifts away meanwhile (see the model card).
    scene = leaving_and_returning(28, "chelsea")
    tracks = tracked(scene, exact)
    assert (~scene.present).sum() >= 5
    assert overlaps(scene, tracks)[-4:].min() > 0.7  # [0.92]
    # And the score tells: never as high while it is away as before it began to leave.
    scores = np.array([track.score for track in tracks])
    assert scores[~scene.present].max() < scores[1:4].min() - 0.1  # [0.02 against 0.79]


def test_half_precision_does_not_drift(weights: Weights, exact: Predictor) -> None:
    scene = translation(10)
    half = tracked(scene, load_predictor(weights, device="cpu", precision="bf16"))
    boxes = [np.array([track.box.as_list() for track in tracks]) for tracks in (half, tracked(scene, exact))]
    # Positions are read in steps of a sixteenth of a cell, so that most frames agree to the bit.
    assert np.abs(boxes[0] - boxes[1]).max() <= 0.5
