"""Networks with a box head: new targets are settled by the network's answer to their own first frame."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from model.calibration import Calibration
from model.config import TrackerConfig, preset
from model.tracker import Tracker
from service.errors import ModelUnavailable
from service.sessions.requests import Placement
from service.sessions.tracker_model import TrackerModel
from tests.service.sessions.conftest import Core, boxes, tracking_with
from tests.support import blobs
from tests.support.fake_predictor import FakePredictor, Kind

pytestmark = pytest.mark.anyio

READING = (0.0, 0.0, 0.4, -0.3, 99.0)
"""A head that says the same everywhere: a target half as wide again, and a quarter less high, than it was drawn."""


@pytest.fixture
async def core() -> AsyncIterator[Core]:
    predictor = FakePredictor()
    predictor.reading = READING
    constants = TrackerConfig(scales=1, scale_damping=1.0, window_influence=0.0)
    # The fake's maps have 8 px a cell, as the network without a head has.
    network = replace(preset("paper"), head=preset("swift").head)
    async with tracking_with(predictor, TrackerModel(Tracker(network, constants, Calibration(bias=100)))) as running:
        yield running


async def test_what_the_head_says_of_the_first_frame_is_no_change(core: Core) -> None:
    session = await core.start((60, 50), (20, 30))
    (settling,) = core.predictor.of("respond")
    assert len(settling.slots) == 2
    before = boxes(session)
    await core.advance(session, await core.decoded(60, 50))
    assert boxes(session)["0"] == pytest.approx(before["0"], abs=1.0)
    core.predictor.reading = (0.0, 0.0, 0.4, -0.3 + 0.6931472, 99.0)
    await core.advance(session, await core.decoded(60, 50))
    assert boxes(session)["0"][3] == pytest.approx(2 * before["0"][3], rel=0.02)


async def test_a_corrected_target_is_settled_anew(core: Core) -> None:
    session = await core.start()
    first = session.progress.targets[0].track.zero
    core.predictor.reading = (0.0, 0.0, -0.2, 0.1, 99.0)
    await core.correct(session, await core.decoded(60, 50), Placement("0", blobs.box(60, 50)))
    assert first[2:] == pytest.approx(READING[2:4])
    assert session.progress.targets[0].track.zero[2:] == pytest.approx((-0.2, 0.1))


@pytest.mark.parametrize("kind", ["respond", "answer"])
async def test_a_start_that_cannot_be_settled_leaves_nothing(core: Core, kind: Kind) -> None:
    core.predictor.awaited = True
    core.predictor.fail(kind, RuntimeError("no"))
    with pytest.raises(ModelUnavailable):
        await core.start()
    assert (len(core.registry), core.slots.used) == (0, 0)


async def test_a_reading_that_is_not_finite_is_a_failure(core: Core) -> None:
    core.predictor.reading = (0.0, 0.0, float("nan"), 0.0, 0.0)
    with pytest.raises(ModelUnavailable):
        await core.start()
    assert (len(core.registry), core.slots.used) == (0, 0)
