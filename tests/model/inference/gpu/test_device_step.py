"""The step on the device answers as the step around it does: OpenCV's crops, the same network, numpy's peaks.

On a CPU everything but the recording of graphs runs here; on a GPU, where there is one, that too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from model.boxes import Box
from model.checkpoints import Weights, bundled_weights, load_weights
from model.config import Preprocessing, TrackerConfig
from model.frames import Frame
from model.inference.gpu.device_step import DeviceStep, pass_sizes
from model.inference.gpu.graphs import Graphs
from model.inference.gpu.predictor import GpuPredictor
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from model.inference.probe import drift
from model.inference.single import SingleTracker
from model.inference.torch_cpu import TorchPredictor
from model.response import DeviceResponse, MapResponse, Response
from model.search import Search
from model.tracker import Track
from tests.support.devices import DEVICES, NEEDS_CUDA
from tests.support.networks import TINY, random_network
from tests.support.scenes import Scene, leaving_and_returning, occlusion, scale_change, translation

WEIGHTS = Weights(
    random_network(TINY),
    Preprocessing("bgr", mean=114.0, std=58.0),
    constants=TrackerConfig(scale_interpolation=True, still_speed=16.0),
)
TRACKER = WEIGHTS.tracker
CONSTANTS = WEIGHTS.constants


@pytest.fixture(autouse=True)
def _no_rounding_of_factors() -> Iterator[None]:
    """fp32 is fp32 on a GPU too: else passes of other sizes may round otherwise."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def predictor(device: str, batch_max: int = 4) -> GpuPredictor:
    return GpuPredictor(WEIGHTS, torch.device(device), "fp32", 1, batch_max)


def plain_predictor(device: str) -> TorchPredictor:
    return TorchPredictor(WEIGHTS, torch.device(device), "fp32", 1)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return translation(frames=3)


@pytest.fixture(scope="module")
def tracks(scene: Scene) -> list[Track]:
    """Five tracks of all kinds: followed, lost, over the edge, large enough to be averaged, lost and large."""
    boxes = [
        Box(*scene.truth[0]),
        Box(150, 80, 40, 30),
        Box(-10, -5, 40, 40),
        Box(20, 10, 250, 200),
        Box(9, 9, 200, 200),
    ]
    made = [TRACKER.start(Frame.whole(scene.frames[0]), box)[0] for box in boxes]
    made = [replace(each, speed=float(index)) for index, each in enumerate(made)]
    return [replace(each, status="lost", lost_for=2) if index in (1, 4) else each for index, each in enumerate(made)]


def exemplars(of: Predictor, scene: Scene, tracks: list[Track]) -> torch.Tensor:
    return of.embed(np.stack([TRACKER.start(Frame.whole(scene.frames[0]), each.box)[1] for each in tracks]))


def searched(of: Predictor, scene: Scene, tracks: list[Track], *, maps: bool = False) -> list[Search]:
    return [TRACKER.search(Frame.whole(scene.frames[1]), each, of.cutter, maps=maps) for each in tracks]


def numbers_of(response: Response) -> np.ndarray:
    assert isinstance(response, DeviceResponse)
    return response.numbers


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_a_pass_answers_as_the_steps_around_the_network_do(
    scene: Scene, tracks: list[Track], device: str, count: int
) -> None:
    # Five are more than there is a size for.
    there, plain = predictor(device), plain_predictor(device)
    there.warm_up()
    tracks = tracks[:count]
    bank = exemplars(plain, scene, tracks)
    searches = searched(there, scene, tracks, maps=True)
    here = plain.respond(bank, searched(plain, scene, tracks))
    for search, expected, response in zip(searches, here, there.respond(bank, searches), strict=True):
        assert expected.maps is not None
        assert response.maps is not None
        np.testing.assert_allclose(response.maps, expected.maps, atol=0.02 * np.ptp(expected.maps))
        found = TRACKER.locate(search, response)
        # Off OpenCV's crops the peak lies in the same place, or in the next of the upscaled map.
        theirs = TRACKER.locate(search, expected)
        assert found.scale == theirs.scale
        assert (found.dx, found.dy) == pytest.approx((theirs.dx, theirs.dy), abs=1 / CONSTANTS.upscale)
        # Off the very same maps in the same.
        own = TRACKER.locate(search, MapResponse(response.maps, search.shares))
        assert (found.scale, found.dx, found.dy) == (own.scale, own.dx, own.dy)
        assert found.logit == pytest.approx(own.logit, rel=1e-4)
        assert found.contrast == pytest.approx(own.contrast, rel=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_equals_its_singles_and_exemplars_are_found_by_index(
    scene: Scene, tracks: list[Track], device: str
) -> None:
    there = predictor(device)
    bank = exemplars(there, scene, tracks)
    searches = searched(there, scene, tracks)
    order = [2, 0, 1]
    together = there.begin(bank, order, [searches[index] for index in order]).result()
    for index, response in zip(order, together, strict=True):
        (alone,) = there.respond(bank[index : index + 1], [searches[index]])
        np.testing.assert_allclose(numbers_of(response), numbers_of(alone), rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(numbers_of(response)[:, 1:3], numbers_of(alone)[:, 1:3])


@pytest.mark.parametrize("device", DEVICES)
def test_the_next_pass_may_begin_before_this_one_is_read(scene: Scene, tracks: list[Track], device: str) -> None:
    there = predictor(device)
    there.warm_up()
    bank = exemplars(there, scene, tracks)
    searches = searched(there, scene, tracks)
    expected = [there.begin(bank, [at], [each]).result()[0] for at, each in enumerate(searches)]
    before = there.begin(bank, [0], searches[:1])
    for index in range(1, len(searches)):
        after = there.begin(bank, [index], [searches[index]])
        numbers = numbers_of(before.result()[0])
        np.testing.assert_allclose(numbers, numbers_of(expected[index - 1]), rtol=1e-4, atol=1e-4)
        before = after
    assert not before.ready
    np.testing.assert_allclose(numbers_of(before.result()[0]), numbers_of(expected[-1]), rtol=1e-4, atol=1e-4)


def test_a_third_pass_under_way_is_a_mistake_that_is_noticed(scene: Scene, tracks: list[Track]) -> None:
    there = predictor("cpu")
    bank = exemplars(there, scene, tracks[:1])
    searches = searched(there, scene, tracks[:1])
    first, *_ = [there.begin(bank, [0], searches) for _ in range(3)]
    with pytest.raises(AssertionError, match="two passes"):
        first.result()


def test_maps_come_back_to_those_that_asked(scene: Scene, tracks: list[Track]) -> None:
    there = predictor("cpu")
    bank = exemplars(there, scene, tracks[:2])
    one, _ = searched(there, scene, tracks[:2])
    _, two = searched(there, scene, tracks[:2], maps=True)
    first, second = there.respond(bank, [one, two])
    assert first.maps is None
    assert second.maps is not None
    assert second.maps.shape == (3, 17, 17)


def test_a_readings_numbers_are_its_own(scene: Scene, tracks: list[Track]) -> None:
    there = predictor("cpu")
    bank = exemplars(there, scene, tracks[:1])
    searches = searched(there, scene, tracks[:1], maps=True)
    (first,) = there.respond(bank, searches)
    kept = numbers_of(first).copy()
    for _ in range(2):
        there.respond(-bank, searches)
    np.testing.assert_array_equal(numbers_of(first), kept)


class Recorded:
    """A graph for a CPU: what was recorded runs again, from the same memory into the same memory."""

    def __init__(self, step: DeviceStep, size: int) -> None:
        self._step, self._size = step, size
        self.answer = self._compute()
        self.replays = 0

    def replay(self) -> None:
        self.replays += 1
        for into, values in zip(self.answer, self._compute(), strict=True):
            into.copy_(values)

    @torch.inference_mode()
    def _compute(self) -> Any:
        return self._step._compute(self._step._inputs, self._size)


@torch.inference_mode()
def test_recorded_passes_are_replayed_padded_to_their_size(scene: Scene, tracks: list[Track]) -> None:
    plain, there = predictor("cpu"), predictor("cpu")
    graphs = {size: Recorded(there._step, size) for size in (1, 2, 4)}
    there._step._graphs = Graphs()
    for size, graph in graphs.items():
        there._step._graphs.add(size, graph, graph.answer)
    bank = exemplars(plain, scene, tracks)
    for count in (3, 1, 2, 4, 5, 3):
        searches = searched(there, scene, tracks[:count], maps=True)
        found, wanted = there.respond(bank[:count], searches), plain.respond(bank[:count], searches)
        for response, expected in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(numbers_of(response), numbers_of(expected))
            np.testing.assert_array_equal(response.maps, expected.maps)
    # Five fit nowhere and are computed as they are.
    assert [graphs[size].replays for size in (1, 2, 4)] == [1, 1, 3]


@NEEDS_CUDA
def test_on_a_gpu_every_size_is_recorded_and_answers_as_it_does_unrecorded(scene: Scene, tracks: list[Track]) -> None:
    there = predictor("cuda")
    there.warm_up()
    recorded = there._step._graphs
    assert recorded is not None
    assert sorted(recorded.sizes) == [1, 2, 4]
    there.warm_up()
    assert there._step._graphs is recorded
    bank = exemplars(there, scene, tracks)
    for count in (1, 2, 3, 4):
        searches = searched(there, scene, tracks[:count], maps=True)
        replayed = there.respond(bank[:count], searches)
        there._step._graphs = Graphs()
        for response, expected in zip(replayed, there.respond(bank[:count], searches), strict=True):
            np.testing.assert_allclose(numbers_of(response), numbers_of(expected), rtol=1e-3, atol=1e-3)
        there._step._graphs = recorded


@NEEDS_CUDA
def test_what_cannot_be_recorded_runs_all_the_same(
    scene: Scene, tracks: list[Track], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    there = predictor("cuda")
    there.warm_up()
    assert "no CUDA graph for passes of 4 targets" in caplog.text
    bank = exemplars(there, scene, tracks[:1])
    assert there.respond(bank, searched(there, scene, tracks[:1]))[0].finite


@pytest.mark.parametrize(("most", "sizes"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (32, (1, 2, 4, 8, 16, 32))])
def test_sizes_of_passes(most: int, sizes: tuple[int, ...]) -> None:
    assert pass_sizes(most) == sizes


def boxes(scene: Scene, weights: Weights, **options: Any) -> list[list[float]]:
    tracker = SingleTracker(load_predictor(weights, **options))
    tracker.start(scene.frames[0], Box(*scene.truth[0].tolist()))
    return [tracker.update(frame).box.as_list() for frame in scene.frames[1:]]


SCENES = [
    pytest.param(translation, id="translation"),
    pytest.param(scale_change, id="growth"),
    pytest.param(occlusion, id="occlusion"),
    pytest.param(leaving_and_returning, id="absence"),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("make", SCENES)
def test_whole_sequences_drift_by_less_than_half_a_pixel(make: Callable[[], Scene], device: str) -> None:
    weights = load_weights(bundled_weights("light"))
    expected = boxes(make(), weights, device=device, precision="fp32", on_device=False)
    assert drift(boxes(make(), weights, device=device, precision="fp32", on_device=True), expected) < 0.5


@NEEDS_CUDA
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_on_a_gpu_drifts_little_from_the_cpu(precision: str) -> None:
    weights = load_weights(bundled_weights())
    expected = boxes(translation(), weights, device="cpu", precision="fp32")
    assert drift(boxes(translation(), weights, device="cuda", precision=precision), expected) < 0.5
