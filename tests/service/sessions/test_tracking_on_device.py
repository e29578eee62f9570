"""The service around a predictor that cuts crops and reads maps on its device: same boxes as a tracker in process.

On a CPU, and on a GPU where there is one; the weights are the light ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import cv2
import numpy as np
import pytest

from model.arrays import RgbImage
from model.boxes import Box
from model.checkpoints import Weights, bundled_weights, load_weights
from model.inference.loading import load_predictor
from model.inference.probe import drift
from model.inference.single import SingleTracker
from service.engine.predictor import DevicePredictor
from service.errors import ModelUnavailable
from service.sessions.requests import Placement
from service.sessions.session import Session
from service.sessions.tracker_model import TrackerModel
from tests.service.sessions.conftest import SLOTS, Core, boxes, tracking_with
from tests.service.sessions.conftest import advance as commit_step
from tests.support.devices import DEVICES
from tests.support.scenes import Scene, leaving_and_returning, scale_change, translation
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def weights() -> Weights:
    return load_weights(bundled_weights("light"))


def device_predictor(weights: Weights, device: str) -> DevicePredictor:
    return DevicePredictor(
        weights, device=device, precision="fp32", threads=1, slots=SLOTS, batch_max=4, on_device=True
    )


@pytest.fixture(params=DEVICES)
async def core(request: pytest.FixtureRequest, weights: Weights) -> AsyncIterator[Core]:
    """Tracking around the network, with crops cut and maps read on its device."""
    predictor = device_predictor(weights, request.param)
    model = TrackerModel(weights.tracker, weights.sha256, predictor.cutter)
    async with tracking_with(predictor, model, max_pixels=320 * 240) as running:
        yield running


def encoded(frame: RgbImage) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))[1].tobytes()


async def begun(core: Core, scene: Scene, extra: tuple[float, ...] | None = None) -> Session:
    drawn = [Placement("0", scene.truth[0].tolist())] + ([Placement("1", extra)] if extra is not None else [])
    return await core.tracking.start(encoded(scene.frames[0]), drawn, "me")


async def advance(core: Core, session: Session, frame: RgbImage, **options: bool) -> dict[str, list[float]]:
    decoded = await core.tracking.decode(encoded(frame))
    async with core.leases.hold(session.id, "me") as lease:
        await commit_step(core.tracking, lease, decoded, **options)
    return boxes(session)


def in_process(scene: Scene, weights: Weights) -> list[list[float]]:
    """The boxes of a tracker whose crops OpenCV cuts and whose maps numpy reads."""
    tracker = SingleTracker(load_predictor(weights, device="cpu", precision="fp32"))
    tracker.start(scene.frames[0], Box(*scene.truth[0].tolist()))
    return [tracker.update(frame).box.as_list() for frame in scene.frames[1:]]


@pytest.mark.parametrize("make", [translation, leaving_and_returning])
async def test_a_session_follows_as_a_tracker_in_process_does(core: Core, weights: Weights, make: type[Scene]) -> None:
    scene: Scene = make()  # type: ignore[call-arg]
    session = await begun(core, scene)
    found = [(await advance(core, session, frame))["0"] for frame in scene.frames[1:]]
    assert drift(found, in_process(scene, weights)) < 0.5
    if make is leaving_and_returning:
        assert session.progress.targets[0].track.status != "lost"


async def test_sessions_and_targets_share_passes(core: Core, weights: Weights) -> None:
    scenes = [translation(8), scale_change(8)]
    sessions = [await begun(core, scenes[0], (200.0, 20.0, 40.0, 30.0)), await begun(core, scenes[1])]
    found = [
        await asyncio.gather(*(advance(core, session, frame) for session, frame in zip(sessions, frames, strict=True)))
        for frames in zip(*(scene.frames[1:] for scene in scenes), strict=True)
    ]
    assert [list(each) for each in found[-1]] == [["0", "1"], ["0"]]
    for index, scene in enumerate(scenes):
        assert drift([step[index]["0"] for step in found], in_process(scene, weights)) < 0.5


async def test_maps_are_evidence_where_asked_for(core: Core) -> None:
    scene = translation(3)
    session = await begun(core, scene)
    for frame, wanted in zip(scene.frames[1:], (True, False), strict=True):
        decoded = await core.tracking.decode(encoded(frame))
        async with core.leases.hold(session.id, "me") as lease:
            done = await commit_step(core.tracking, lease, decoded, maps=wanted)
        maps = done.evidence["0"].response.maps
        assert (maps is not None and maps.shape == (3, 17, 17)) is wanted


async def test_an_answer_that_is_not_finite_changes_nothing(core: Core) -> None:
    scene = translation(3)
    session = await begun(core, scene)
    before = session.progress
    slots = [target.slot for target in before.targets]
    kept = core.predictor.read(slots)
    core.predictor.write(slots, np.full_like(kept, np.nan))
    with pytest.raises(ModelUnavailable, match="not finite"):
        await advance(core, session, scene.frames[1])
    assert session.progress == before
    core.predictor.write(slots, kept)
    await advance(core, session, scene.frames[1])
    assert session.progress.frame_index == 1


async def test_a_pass_that_fails_fails_its_frame_and_the_next_one_goes_on(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = translation(3)
    session = await begun(core, scene)
    with monkeypatch.context() as patched:
        predictor: Any = core.predictor  # a DevicePredictor here
        patched.setattr(predictor.network._step, "_read", None)
        with pytest.raises(ModelUnavailable):
            await advance(core, session, scene.frames[1])
    await eventually(lambda: core.batcher.failure is None)
    assert session.progress.frame_index == 0
    await advance(core, session, scene.frames[1])
    assert session.progress.frame_index == 1
