"""The step on the device answers as the step around it does: OpenCV's crops, the same network, numpy's peaks.

On a CPU everything but the recording of graphs runs here; on a GPU, where there is one, that too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from model.boxes import Box
from model.checkpoints import Weights, bundled_weights, load_weights
from model.config import Preprocessing, TrackerConfig
from model.inference import Predictor
from model.runtimes.device_step import DeviceStep, pass_sizes
from model.runtimes.probe import drift
from model.single import SingleTracker
from model.tracker import Track, cut_crops, locate, search_regions, start, together
from model.windows import Cut
from tests.support.devices import DEVICES, NEEDS_CUDA
from tests.support.networks import TINY, random_network
from tests.support.scenes import Scene, leaving_and_returning, occlusion, scale_change, translation

WEIGHTS = Weights(
    random_network(TINY),
    Preprocessing("bgr", mean=114.0, std=58.0),
    tracker=TrackerConfig(scale_interpolation=True, still_speed=16.0),
)
CONSTANTS = WEIGHTS.tracker


@pytest.fixture(autouse=True)
def _no_rounding_of_factors() -> Iterator[None]:
    """fp32 is fp32 on a GPU too: else passes of other sizes may round otherwise."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def predictor(device: str, *, on_device: bool = True, batch_max: int = 4) -> Predictor:
    return Predictor(WEIGHTS, device=device, precision="fp32", on_device=on_device, batch_max=batch_max)


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
    made = [start(scene.frames[0], box, TINY, CONSTANTS)[0] for box in boxes]
    made = [replace(each, speed=float(index)) for index, each in enumerate(made)]
    return [replace(each, status="lost", lost_for=2) if index in (1, 4) else each for index, each in enumerate(made)]


def exemplars(of: Predictor, scene: Scene, tracks: list[Track]) -> torch.Tensor:
    return of.embed(np.stack([start(scene.frames[0], each.box, TINY, CONSTANTS)[1] for each in tracks]))


def searched(of: Predictor, scene: Scene, tracks: list[Track]) -> list[Any]:
    return [search_regions(scene.frames[1], each, TINY, CONSTANTS, of.cut) for each in tracks]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_a_pass_answers_as_the_steps_around_the_network_do(
    scene: Scene, tracks: list[Track], device: str, count: int
) -> None:
    # Five are more than there is a size for.
    there, plain = predictor(device), predictor(device, on_device=False)
    there.warm_up()
    tracks = tracks[:count]
    bank = exemplars(plain, scene, tracks)
    maps = plain.respond(bank, together(searched(plain, scene, tracks)))
    readings = there.respond(bank, together(searched(there, scene, tracks), maps=True))
    assert isinstance(readings, tuple)
    for track, expected, reading in zip(tracks, maps, readings, strict=True):
        assert reading.maps is not None
        np.testing.assert_allclose(reading.maps, expected, atol=0.02 * np.ptp(expected))
        found = locate(track, reading, CONSTANTS, WEIGHTS.calibration)
        # Off OpenCV's crops the peak lies in the same place, or in the next of the upscaled map.
        theirs = locate(track, expected, CONSTANTS, WEIGHTS.calibration)
        assert found.scale == theirs.scale
        assert (found.dx, found.dy) == pytest.approx((theirs.dx, theirs.dy), abs=1 / CONSTANTS.upscale)
        # Off the very same maps in the same.
        own = locate(track, reading.maps, CONSTANTS, WEIGHTS.calibration)
        assert (found.scale, found.dx, found.dy) == (own.scale, own.dx, own.dy)
        assert found.logit == pytest.approx(own.logit, rel=1e-4)
        assert found.contrast == pytest.approx(own.contrast, rel=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_equals_its_singles_and_exemplars_are_found_by_index(
    scene: Scene, tracks: list[Track], device: str
) -> None:
    there = predictor(device)
    bank = exemplars(there, scene, tracks)
    cuts = [search.crops for search in searched(there, scene, tracks)]
    assert all(isinstance(cut, Cut) for cut in cuts)
    order = [2, 0, 1]
    together_ = there.begin(bank, order, tuple(cuts[index] for index in order)).result()
    for index, reading in zip(order, together_, strict=True):
        (alone,) = there.respond(bank[index : index + 1], (cuts[index],))
        np.testing.assert_allclose(reading.numbers, alone.numbers, rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(reading.numbers[:, 1:3], alone.numbers[:, 1:3])


@pytest.mark.parametrize("device", DEVICES)
def test_the_next_pass_may_begin_before_this_one_is_read(scene: Scene, tracks: list[Track], device: str) -> None:
    there = predictor(device)
    there.warm_up()
    bank = exemplars(there, scene, tracks)
    cuts = [search.crops for search in searched(there, scene, tracks)]
    expected = [there.begin(bank, [index], (cut,)).result()[0] for index, cut in enumerate(cuts)]
    before = there.begin(bank, [0], (cuts[0],))
    for index in range(1, len(cuts)):
        after = there.begin(bank, [index], (cuts[index],))
        np.testing.assert_allclose(before.result()[0].numbers, expected[index - 1].numbers, rtol=1e-4, atol=1e-4)
        before = after
    np.testing.assert_allclose(before.result()[0].numbers, expected[-1].numbers, rtol=1e-4, atol=1e-4)


def test_a_third_pass_under_way_is_a_mistake_that_is_noticed(scene: Scene, tracks: list[Track]) -> None:
    there = predictor("cpu")
    bank = exemplars(there, scene, tracks[:1])
    cuts = [search.crops for search in searched(there, scene, tracks[:1])]
    first, *_ = [there.begin(bank, [0], tuple(cuts)) for _ in range(3)]
    with pytest.raises(AssertionError, match="two passes"):
        first.result()


def test_maps_come_back_to_those_that_asked(scene: Scene, tracks: list[Track]) -> None:
    there = predictor("cpu")
    bank = exemplars(there, scene, tracks[:2])
    one, two = searched(there, scene, tracks[:2])
    first, second = there.respond(bank, (*together([one]), *together([two], maps=True)))
    assert first.maps is None
    assert second.maps is not None
    assert second.maps.shape == (3, 17, 17)


def test_a_readings_numbers_are_its_own(scene: Scene, tracks: list[Track]) -> None:
    there = predictor("cpu")
    bank = exemplars(there, scene, tracks[:1])
    crops = together(searched(there, scene, tracks[:1]), maps=True)
    (first,) = there.respond(bank, crops)
    assert not isinstance(first, np.ndarray)
    kept = first.numbers.copy()
    for _ in range(2):
        there.respond(-bank, crops)
    np.testing.assert_array_equal(first.numbers, kept)


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
    assert there._step is not None
    graphs = {size: Recorded(there._step, size) for size in (1, 2, 4)}
    there._step._graphs = {size: (graph, graph.answer) for size, graph in graphs.items()}
    bank = exemplars(plain, scene, tracks)
    for count in (3, 1, 2, 4, 5, 3):
        crops = together(searched(there, scene, tracks[:count]), maps=True)
        for reading, expected in zip(
            there.respond(bank[:count], crops), plain.respond(bank[:count], crops), strict=True
        ):
            np.testing.assert_array_equal(reading.numbers, expected.numbers)
            np.testing.assert_array_equal(reading.maps, expected.maps)
    # Five fit nowhere and are computed as they are.
    assert [graphs[size].replays for size in (1, 2, 4)] == [1, 1, 3]


def test_sizes_are_recorded_largest_first_in_one_pool_and_one_that_fails_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    there = predictor("cpu")._step
    assert there is not None
    real, pools = inspect.signature(torch.cuda.graph.__init__), []

    @contextmanager
    def graph(*given: Any, **named: Any) -> Iterator[None]:
        pools.append(real.bind(None, *given, **named).arguments["pool"])
        if len(pools) == 2:
            raise RuntimeError("out of memory")
        yield

    stream = SimpleNamespace(wait_stream=lambda other: None)
    fakes = {
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda given: nullcontext(),
        "CUDAGraph": lambda: SimpleNamespace(pool=lambda: "the first one's"),
        "graph": graph,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    there._record()
    assert list(there._graphs) == [4, 1]
    assert pools == [None, "the first one's", "the first one's"]
    assert [peaks.shape for _, (peaks, _) in there._graphs.values()] == [(4, 3, 5), (1, 3, 5)]
    assert "no CUDA graph for passes of 2 targets" in caplog.text


@NEEDS_CUDA
def test_on_a_gpu_every_size_is_recorded_and_answers_as_it_does_unrecorded(scene: Scene, tracks: list[Track]) -> None:
    there = predictor("cuda")
    there.warm_up()
    assert there._step is not None
    assert sorted(there._step._graphs) == [1, 2, 4]
    recorded = dict(there._step._graphs)
    there.warm_up()
    assert there._step._graphs == recorded
    bank = exemplars(there, scene, tracks)
    for count in (1, 2, 3, 4):
        crops = together(searched(there, scene, tracks[:count]), maps=True)
        replayed = there.respond(bank[:count], crops)
        there._step._graphs = {}
        for reading, expected in zip(replayed, there.respond(bank[:count], crops), strict=True):
            np.testing.assert_allclose(reading.numbers, expected.numbers, rtol=1e-3, atol=1e-3)
        there._step._graphs = dict(recorded)


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
    assert there.respond(bank, together(searched(there, scene, tracks[:1])))[0].finite


@pytest.mark.parametrize(("most", "sizes"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (32, (1, 2, 4, 8, 16, 32))])
def test_sizes_of_passes(most: int, sizes: tuple[int, ...]) -> None:
    assert pass_sizes(most) == sizes


def boxes(scene: Scene, weights: Weights, **options: Any) -> list[list[float]]:
    tracker = SingleTracker(Predictor(weights, **options))
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


def test_a_predictor_says_how_its_crops_are_cut() -> None:
    assert predictor("cpu", on_device=False).cut is cut_crops
    assert Predictor(WEIGHTS, device="cpu", precision="fp32").cut is cut_crops
    assert predictor("cpu").cut is not cut_crops
