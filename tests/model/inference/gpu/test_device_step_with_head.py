"""The step on the device for networks with a box head: response, peak and box as the plain predictor has them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.boxes import Box
from model.checkpoints import Weights
from model.config import Preprocessing, TrackerConfig
from model.frames import Frame
from model.inference.gpu.predictor import GpuPredictor
from model.inference.predictor import Predictor
from model.inference.torch_cpu import TorchPredictor
from model.search import Search
from model.tracker import Track
from tests.support.devices import DEVICES
from tests.support.networks import TINY_HEAD, random_network
from tests.support.scenes import Scene, translation

SCENE = translation(frames=3)
BOXES = Box(*SCENE.truth[0]), Box(150, 80, 40, 30), Box(-10, -5, 40, 40)


def weights(influence: float) -> Weights:
    constants = replace(TrackerConfig.of(TINY_HEAD), quality_influence=influence)
    return Weights(random_network(TINY_HEAD), Preprocessing("rgb", 114.0, 58.0), constants=constants)


def started(of: Predictor, scene: Scene) -> tuple[torch.Tensor, list[Track], list[Search]]:
    """Exemplars, tracks and searches of the boxes, prepared as that predictor takes them."""
    first, second = (Frame.whole(frame) for frame in scene.frames[:2])
    made = [of.tracker.start(first, box) for box in BOXES]
    tracks = [track for track, _ in made]
    searches = [of.tracker.search(second, track, of.cutter, maps=True) for track in tracks]
    return of.embed(np.stack([crop for _, crop in made])), tracks, searches


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("influence", [0.0, 0.8])
def test_a_pass_answers_as_the_steps_around_the_network_do(device: str, influence: float) -> None:
    used = weights(influence)
    there = GpuPredictor(used, torch.device(device), "fp32", 1, 4)
    plain = TorchPredictor(used, torch.device(device), "fp32", 1)
    bank, tracks, searches = started(there, SCENE)
    exemplars, _, cut = started(plain, SCENE)
    for track, search, response, expected in zip(
        tracks, searches, there.respond(bank, searches), plain.respond(exemplars, cut), strict=True
    ):
        assert response.maps is not None
        assert expected.maps is not None
        np.testing.assert_allclose(response.maps, expected.maps, atol=0.03 * np.ptp(expected.maps))
        found, theirs = response.best(used.constants), expected.best(used.constants)
        assert (found.dx, found.dy) == pytest.approx((theirs.dx, theirs.dy), abs=1 / 16)
        assert found.box is not None
        assert theirs.box is not None
        # Where the peaks lie a little apart, so do the places at which the head is read.
        read, wanted = (
            (each.box.dx, each.box.dy, np.log(each.box.width_ratio), np.log(each.box.height_ratio), each.box.quality)
            for each in (found, theirs)
            if each.box is not None
        )
        np.testing.assert_allclose(read, wanted, atol=0.1)
        ours = there.tracker.settle(track, search, response)
        assert ours.zero == pytest.approx(plain.tracker.settle(track, search, expected).zero, abs=0.1)


def test_the_quality_moves_the_response() -> None:
    responses = []
    for influence in (0.0, 0.8):
        there = GpuPredictor(weights(influence), torch.device("cpu"), "fp32", 1, 4)
        bank, _, searches = started(there, SCENE)
        responses.append(there.respond(bank, searches)[0].maps)
    assert responses[0] is not None
    assert responses[1] is not None
    assert np.abs(responses[0] - responses[1]).max() > 0.01
