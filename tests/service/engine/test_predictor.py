"""The device's predictor gives the network's own responses, out of the right slots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.checkpoints import Weights, load_weights
from model.crops import Region
from model.errors import ConfigError
from model.frames import Frame
from model.inference.loading import load_predictor
from model.search import Search, crops_of
from service.engine.predictor import DevicePredictor
from service.engine.slots import Slot, SlotTable
from tests.service.engine.conftest import maps_of, search_of


@pytest.fixture(scope="module")
def weights(random_weights: Path) -> Weights:
    """A real network, untrained."""
    return load_weights(random_weights)


@pytest.fixture
def predictor(weights: Weights) -> DevicePredictor:
    """A predictor on the CPU in fp32, with four slots."""
    return DevicePredictor(weights, device="cpu", precision="fp32", threads=1, slots=4)


def crops(rng: np.random.Generator, *shape: int) -> NDArray[np.uint8]:
    """Crops of that shape, each with a coarse pattern of its own: to a network all noise looks the same."""
    *batch, side, _ = shape
    coarse = rng.integers(0, 256, (*batch, 5, 5, 3), np.uint8)
    cells = np.arange(side) * 5 // side
    return np.ascontiguousarray(coarse[..., cells[:, None], cells[None, :], :])


def searches(rng: np.random.Generator, count: int) -> list[Search]:
    """Searches of one region each."""
    return [search_of(own) for own in crops(rng, count, 1, 255, 255)]


def maps(predictor: DevicePredictor, slots: Sequence[Slot], wanted: Sequence[Search]) -> NDArray[np.float32]:
    """The maps [B, N, S, S] of what the slots respond."""
    return np.stack([maps_of(response) for response in predictor.respond(slots, wanted).result()])


def test_answers_are_the_networks_own(weights: Weights, predictor: DevicePredictor, rng: np.random.Generator) -> None:
    plain = load_predictor(weights, device="cpu", precision="fp32")
    exemplars, wanted = crops(rng, 2, 127, 127), searches(rng, 2)
    slots = SlotTable(4).allocate(3)[1:]
    predictor.embed(slots, exemplars)
    found = maps(predictor, slots, wanted)
    assert found.shape == (2, 1, 17, 17)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, plain.maps(plain.embed(exemplars), crops_of(wanted)), rtol=1e-4, atol=1e-5)
    assert found.std() > 0.01
    # The slots say whose exemplar it is, not their place in the call.
    np.testing.assert_allclose(maps(predictor, slots[::-1], wanted[::-1])[::-1], found, rtol=1e-4, atol=1e-5)


def test_what_is_cut_on_the_device_is_answered_out_of_the_same_slots(
    weights: Weights, predictor: DevicePredictor, rng: np.random.Generator
) -> None:
    there = DevicePredictor(weights, device="cpu", precision="fp32", threads=1, slots=4, batch_max=2, on_device=True)
    there.probe()
    frame = crops(rng, 300, 300)
    slots = SlotTable(4).allocate(3)[1:]
    for each in (predictor, there):
        each.embed(slots, np.stack([frame[80:207, 80:207], frame[20:147, 150:277]]))
    regions = [tuple(Region(*place, side) for side in (247, 255, 263)) for place in ((150, 150), (90, 220))]
    plans = [Search(each, (0.0,) * 3, 255, (1.0, 2.0, 3.0), maps=True) for each in regions]
    expected = maps(predictor, slots, [predictor.cutter(Frame.whole(frame), plan) for plan in plans])
    seen = [there.cutter(Frame.whole(frame), plan) for plan in plans]
    found = maps(there, slots, seen)
    np.testing.assert_allclose(found, expected, atol=0.02 * np.ptp(expected))
    backwards = maps(there, slots[::-1], seen[::-1])
    np.testing.assert_allclose(backwards[0], found[1], rtol=1e-4, atol=1e-4)


def test_an_exemplar_survives_changes_in_other_slots(predictor: DevicePredictor, rng: np.random.Generator) -> None:
    table = SlotTable(4)
    before, kept, after = table.allocate(3)
    search = searches(rng, 1)
    predictor.embed((before, kept, after), crops(rng, 3, 127, 127))
    answer = maps(predictor, (kept,), search)
    for gone in (before, after):
        table.release(gone)
    others = table.allocate(3)
    assert {slot.index for slot in others} & {before.index, after.index}
    predictor.embed(others, crops(rng, 3, 127, 127))
    np.testing.assert_allclose(maps(predictor, (kept,), search), answer, rtol=1e-4, atol=1e-5)
    assert not np.allclose(maps(predictor, others[:1], search), answer, rtol=1e-2, atol=1e-3)


def test_an_exemplar_that_was_read_answers_the_same_in_another_slot(
    predictor: DevicePredictor, weights: Weights, rng: np.random.Generator
) -> None:
    slots = SlotTable(4).allocate(2)
    search = searches(rng, 1)
    predictor.embed(slots, crops(rng, 2, 127, 127))
    read = predictor.read(slots)
    assert (read.shape, read.dtype) == ((2, 256, 6, 6), np.float16)
    read.flags.writeable = False
    another = DevicePredictor(weights, device="cpu", precision="fp32", threads=1, slots=4)
    there = SlotTable(4).allocate(4)[2:]
    another.write(there, read)
    np.testing.assert_array_equal(another.read(there), read)
    np.testing.assert_array_equal(maps(another, there[1:], search), maps(predictor, slots[1:], search))


def test_openvino_answers_out_of_the_same_slots(
    weights: Weights, predictor: DevicePredictor, rng: np.random.Generator
) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    compiled = DevicePredictor(weights, device="cpu", precision="fp32", threads=1, slots=4, runtime="openvino")
    assert (compiled.network.runtime, compiled.network.precision) == ("openvino", "fp32")
    exemplars, wanted = crops(rng, 2, 127, 127), searches(rng, 2)
    slots = SlotTable(4).allocate(3)[1:]
    for each in (predictor, compiled):
        each.embed(slots, exemplars)
    expected = maps(predictor, slots, wanted)
    np.testing.assert_allclose(maps(compiled, slots, wanted), expected, rtol=1e-3, atol=1e-3 * np.ptp(expected))
    # Either runtime can use the other's embeddings: replicas that share a store may run different ones.
    compiled.write(slots, predictor.read(slots))
    np.testing.assert_allclose(maps(compiled, slots, wanted), expected, rtol=1e-3, atol=1e-3 * np.ptp(expected))


def test_the_probe_leaves_exemplars_alone(predictor: DevicePredictor, rng: np.random.Generator) -> None:
    slots = SlotTable(4).allocate(1)
    search = searches(rng, 1)
    predictor.embed(slots, crops(rng, 1, 127, 127))
    answer = maps(predictor, slots, search)
    predictor.probe()
    np.testing.assert_allclose(maps(predictor, slots, search), answer, rtol=1e-4, atol=1e-5)


def test_bytes_per_target(predictor: DevicePredictor) -> None:
    # 256 channels of 6 x 6 cells at two bytes.
    assert predictor.bytes_per_target == 256 * 6 * 6 * 2


@pytest.mark.parametrize(
    ("device", "runtime", "precision"),
    [
        pytest.param("abacus", "torch", "fp32", id="device"),
        pytest.param("cpu", "abacus", "fp32", id="runtime"),
        pytest.param("cpu", "torch", "int3", id="precision"),
        pytest.param("cpu", "torch", "fp16", id="precision-of-another-device"),
        pytest.param("cpu", "torch", "int8", id="precision-of-another-runtime"),
    ],
)
def test_unusable_devices_and_precisions_are_refused(
    weights: Weights, device: str, runtime: str, precision: str
) -> None:
    with pytest.raises(ConfigError):
        DevicePredictor(weights, device=device, precision=precision, threads=1, slots=1, runtime=runtime)
