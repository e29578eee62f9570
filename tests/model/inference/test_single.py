from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from model.boxes import Box
from model.checkpoints import Weights
from model.config import Preprocessing
from model.frames import Frame
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from model.inference.single import SingleTracker
from model.response import MapResponse
from model.search import crops_of
from tests.support.networks import TINY, random_network
from tests.support.scenes import Scene, translation


@pytest.fixture(scope="module")
def scene() -> Scene:
    return translation(frames=6)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    weights = Weights(random_network(TINY), Preprocessing(mean=114.0, std=58.0))
    return load_predictor(weights, device="cpu", precision="fp32")


def first_box(scene: Scene) -> Box:
    return Box(*scene.truth[0].tolist())


def test_updates_are_the_steps_by_hand(scene: Scene, predictor: Predictor) -> None:
    steps, tracker = predictor.tracker, SingleTracker(predictor)
    track, pixels = steps.start(Frame.whole(scene.frames[0]), first_box(scene))
    exemplar = predictor.embed(pixels[None])
    assert tracker.start(scene.frames[0], first_box(scene)) == track
    for frame in scene.frames[1:]:
        search = steps.search(Frame.whole(frame), track)
        maps = predictor.maps(exemplar, crops_of([search]))[0]
        track = steps.conclude(track, search, MapResponse(maps, search.shares), scene.size).track
        assert tracker.update(frame) == track


def test_the_part_that_is_wanted_is_enough(scene: Scene, predictor: Predictor) -> None:
    around = [cv2.copyMakeBorder(frame, 400, 400, 600, 600, cv2.BORDER_REFLECT) for frame in scene.frames]
    x, y, w, h = first_box(scene).as_list()
    box = Box(x + 600, y + 400, w, h)
    size, whole, partly = (around[0].shape[1], around[0].shape[0]), SingleTracker(predictor), SingleTracker(predictor)
    assert partly.start(around[0], box) == whole.start(around[0], box)
    parts = []
    for frame in around[1:]:
        part = partly.wants(size)
        parts.append(part)
        at_hand = Frame.whole(frame) if part is None else Frame(part.view(frame), size, part)
        assert partly.follow(at_hand) == whole.update(frame)
    assert any(part is not None and part.area < 0.1 * size[0] * size[1] for part in parts)


def test_trackers_that_share_a_predictor_do_not_meet(scene: Scene, predictor: Predictor) -> None:
    boxes = first_box(scene), Box(200, 20, 40, 30)
    alone = []
    for box in boxes:
        tracker = SingleTracker(predictor)
        tracker.start(scene.frames[0], box)
        alone.append([tracker.update(frame) for frame in scene.frames[1:]])
    together = [SingleTracker(predictor) for _ in boxes]
    for tracker, box in zip(together, boxes, strict=True):
        tracker.start(scene.frames[0], box)
    for index, frame in enumerate(scene.frames[1:]):
        assert [tracker.update(frame) for tracker in together] == [tracks[index] for tracks in alone]


def test_starting_again_forgets_the_past(scene: Scene, predictor: Predictor) -> None:
    fresh, used = SingleTracker(predictor), SingleTracker(predictor)
    used.start(scene.frames[0], Box(5, 5, 30, 30))
    used.update(scene.frames[1])
    for tracker in (fresh, used):
        tracker.start(scene.frames[2], Box(*scene.truth[2].tolist()))
    assert used.update(scene.frames[3]) == fresh.update(scene.frames[3])


def test_a_target_that_does_not_move_is_found_where_it_was(scene: Scene, predictor: Predictor) -> None:
    # Even untrained, a network answers highest where the picture is the exemplar's own.
    tracker = SingleTracker(predictor)
    box = first_box(scene)
    tracker.start(scene.frames[0], box)
    for _ in range(4):
        np.testing.assert_allclose(tracker.update(scene.frames[0]).box.center, box.center, atol=4)


def test_update_before_start_is_refused(scene: Scene, predictor: Predictor) -> None:
    with pytest.raises(RuntimeError, match="update before start"):
        SingleTracker(predictor).update(scene.frames[0])
    with pytest.raises(RuntimeError, match="update before start"):
        SingleTracker(predictor).wants(scene.size)


def test_other_constants_than_the_weights(scene: Scene, predictor: Predictor) -> None:
    frozen = replace(predictor.tracker, constants=replace(predictor.tracker.constants, window_influence=1.0))
    tracker = SingleTracker(predictor, frozen)
    box = first_box(scene)
    tracker.start(scene.frames[0], box)
    # With nothing but the window the target stays in the middle of its region.
    assert [tracker.update(frame).box.center for frame in scene.frames[1:]] == [pytest.approx(box.center)] * 5
