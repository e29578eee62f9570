"""Parts of frames, and images that are scaled down, through the service's core."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import simplejpeg

from model.tracker import Tracker
from service.errors import FrameSizeChanged, InvalidBox, InvalidPart, ServiceError
from service.sessions.requests import Decoded, Limits, Placement
from service.sessions.session import Session
from tests.service.sessions.conftest import Core, boxes
from tests.service.sessions.test_tracking import unchanged
from tests.support import blobs

pytestmark = pytest.mark.anyio

WANTED = (28, 18, 80, 80)
"""The part that a target at (60, 50) wants: the one of `test_wants`."""


async def part(core: Core, blob: tuple[float, float], x: int, y: int, w: int, h: int) -> Decoded:
    """A part of the frame with its square at `blob`, lossless."""
    pixels = np.ascontiguousarray(blobs.picture(*blob)[y : y + h, x : x + w])
    return await core.tracking.decode(blobs.encoded(pixels), (x, y))


def sample(core: Core, name: str) -> float:
    """A metric's value by the name and labels that /metrics writes."""
    lines = core.tracking._metrics.render().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


async def test_wants(core: Core) -> None:
    session = await core.start((60, 50))
    wanted = core.tracking.model.tracker.wants(session.progress.targets[0].track, session.facts.frame_size)
    assert wanted is not None
    assert tuple(wanted.as_list) == WANTED


async def test_the_part_wanted_gives_the_whole_frames_digits(core: Core) -> None:
    whole, partly = await core.start((60, 50)), await core.start((60, 50))
    expected = await core.advance(whole, await core.decoded(63, 52))
    step = await core.advance(partly, await part(core, (63, 52), *WANTED))
    assert [target.track for target in step.progress.targets] == [target.track for target in expected.progress.targets]
    assert (step.missed, expected.missed) == ((), ())
    assert boxes(partly)["0"] == pytest.approx([63, 52, 16, 16], abs=1)


async def test_a_part_that_shows_less_than_is_wanted_is_missed_by_those_who_wanted_more(core: Core) -> None:
    session = await core.start((60, 50), (10, 10))
    step = await core.advance(session, await part(core, (63, 52), *WANTED))
    assert step.missed == ("1",)
    assert step.progress.frame_index == 1
    assert boxes(session)["0"] == pytest.approx([63, 52, 16, 16], abs=1)
    assert session.target("0").track.status == "tracking"


async def test_a_stale_part_leaves_its_target_where_it_was_and_the_next_frame_finds_it(core: Core) -> None:
    session = await core.start((60, 50))
    step = await core.advance(session, await part(core, (63, 52), 100, 0, 60, 60))
    assert step.missed == ("0",)
    assert boxes(session)["0"] == [60, 50, 16, 16]
    assert session.target("0").track.status == "lost"
    step = await core.advance(session, await core.decoded(63, 52))
    assert step.missed == ()
    assert boxes(session)["0"] == pytest.approx([63, 52, 16, 16], abs=1)
    assert session.target("0").track.status == "tracking"


async def test_a_target_that_wants_the_whole_frame_misses_every_part(core: Core) -> None:
    session = await core.start((60, 50))
    await core.correct(session, await core.decoded(60, 50), Placement("0", (5, 5, 140, 110)))
    assert core.tracking.model.tracker.wants(session.target("0").track, session.facts.frame_size) is None
    assert (await core.advance(session, await part(core, (60, 50), 0, 0, 160, 118))).missed == ("0",)
    assert (await core.advance(session, await part(core, (60, 50), 0, 0, 160, 120))).missed == ()


REFUSED = [
    pytest.param((100, 18, 80, 80), InvalidPart, id="sticks out to the right"),
    pytest.param((28, 60, 80, 80), InvalidPart, id="sticks out below"),
    pytest.param((160, 0, 8, 8), InvalidPart, id="lies beyond"),
    pytest.param((10**9, 10**9, 8, 8), InvalidPart, id="lies far beyond"),
]


@pytest.mark.parametrize(("place", "error"), REFUSED)
async def test_parts_that_do_not_lie_in_the_frame(
    core: Core, place: tuple[int, int, int, int], error: type[ServiceError]
) -> None:
    session = await core.start((60, 50))
    x, y, w, h = place
    decoded = await core.tracking.decode(blobs.encoded(blobs.picture(0, 0, w, h)), (x, y))
    await unchanged(core, session, error, core.advance(session, decoded))
    await unchanged(core, session, error, core.correct(session, decoded, Placement("0", blobs.box(60, 50))))


async def test_another_size_without_a_corner_has_changed(core: Core) -> None:
    session = await core.start((60, 50))
    decoded = await core.tracking.decode(blobs.encoded(blobs.picture(0, 0, 80, 80)))
    await unchanged(core, session, FrameSizeChanged, core.advance(session, decoded))


async def test_boxes_drawn_on_a_part_are_in_pixels_of_the_frame(core: Core) -> None:
    session = await core.start((60, 50))
    decoded = await part(core, (60, 50), *WANTED)
    drawn = [Placement("in", (62, 52, 10, 12)), Placement("off", (120, 10, 10, 10), "/box")]
    step = await core.advance(session, decoded, drawn)
    assert [type(fault) for fault in step.faults] == [InvalidBox]
    assert "part" in step.faults[0].detail
    assert boxes(session)["in"] == [62, 52, 10, 12]
    assert list(boxes(session)) == ["0", "in"]


async def test_a_target_put_on_a_part_is_embedded_as_on_the_whole_frame(core: Core) -> None:
    session = await core.start((10, 10))
    place = Placement("new", blobs.box(60, 50))
    await core.correct(session, await part(core, (60, 50), *WANTED), place)
    on_part = core.predictor.exemplars[session.target("new").slot.index][1]
    await core.correct(session, await core.decoded(60, 50), place)
    assert core.predictor.exemplars[session.target("new").slot.index][1] == on_part
    refused = core.correct(session, await part(core, (60, 50), *WANTED), Placement("new", (120, 10, 10, 10)))
    await unchanged(core, session, InvalidBox, refused)


async def test_what_parts_save_is_counted(core: Core) -> None:
    session = await core.start((60, 50))
    data = len(blobs.frame(60, 50))
    await core.advance(session, await core.decoded(60, 50))
    assert sample(core, 'siamfc_frame_pixels_total{kind="sent"}') == 160 * 120
    assert sample(core, 'siamfc_frame_bytes_total{kind="sent"}') == data
    assert sample(core, "siamfc_parts_total") == sample(core, 'siamfc_frame_bytes_total{kind="saved"}') == 0
    decoded = await part(core, (60, 50), *WANTED)
    await core.advance(session, decoded)
    await core.advance(session, await part(core, (60, 50), 0, 0, 40, 30))
    assert sample(core, 'siamfc_frame_pixels_total{kind="saved"}') == 2 * 160 * 120 - 80 * 80 - 40 * 30
    assert sample(core, 'siamfc_frame_bytes_total{kind="saved"}') > decoded.encoded_bytes * 2
    assert sample(core, "siamfc_decode_saved_seconds_total") > 0
    assert (sample(core, "siamfc_parts_total"), sample(core, "siamfc_parts_missed_total")) == (2, 1)


WIDE = (1200, 900)


def large(x: int, y: int) -> np.ndarray:
    """A frame of WIDE with a white square of 400 px."""
    picture = np.full((WIDE[1], WIDE[0], 3), 90, np.uint8)
    picture[y : y + 400, x : x + 400] = 255
    return picture


@pytest.fixture
def roomy(core: Core) -> Core:
    """The core with room for large frames."""
    core.tracking.limits = Limits(3, WIDE[0] * WIDE[1], 60.0)
    return core


async def started(core: Core, box: tuple[float, ...]) -> Session:
    data = simplejpeg.encode_jpeg(large(400, 250), 95)
    session = await core.tracking.start(data, [Placement("0", box)], "me")
    core.sessions.append(session)
    return session


@pytest.mark.parametrize(
    ("box", "shrink"),
    [
        pytest.param((400.0, 250.0, 400.0, 400.0), 4, id="large"),
        pytest.param((400.0, 250.0, 200.0, 200.0), 2, id="half as large"),
        pytest.param((400.0, 250.0, 60.0, 60.0), 1, id="small"),
    ],
)
async def test_large_targets_are_read_from_scaled_images(roomy: Core, box: tuple[float, ...], shrink: int) -> None:
    session = await started(roomy, box)
    assert roomy.tracking.shrink(session) == shrink
    data = simplejpeg.encode_jpeg(large(420, 240), 95)
    decoded = await roomy.tracking.decode(data, None, shrink)
    assert decoded.size == WIDE
    assert decoded.image.pixels.shape[:2] == (WIDE[1] // shrink, WIDE[0] // shrink)
    if shrink == 4:
        await roomy.advance(session, decoded)
        assert boxes(session)["0"] == pytest.approx([420, 240, 400, 400], abs=8)


async def test_the_smallest_target_decides(roomy: Core) -> None:
    session = await started(roomy, (400.0, 250.0, 400.0, 400.0))
    small = Placement("small", (500.0, 300.0, 20.0, 20.0))
    await roomy.correct(session, await roomy.tracking.decode(simplejpeg.encode_jpeg(large(400, 250), 95)), small)
    assert roomy.tracking.shrink(session) == 1
    await roomy.remove(session, "0")
    await roomy.remove(session, "small")
    assert roomy.tracking.shrink(session) == 1


async def test_a_scaled_part_lies_where_it_is(roomy: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    real = Tracker.search

    def search(self: Tracker, frame: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(frame)
        return real(self, frame, *arguments, **options)

    session = await started(roomy, (400.0, 250.0, 400.0, 400.0))
    monkeypatch.setattr(Tracker, "search", search)
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(large(420, 240)[100:800, 300:1150]), 95)
    step = await roomy.advance(session, await roomy.tracking.decode(data, (300, 100), 4))
    (frame,) = seen
    assert (frame.part.as_list, frame.size, frame.shrink) == ([300, 100, 850, 700], WIDE, 4)
    assert step.missed == ("0",)
    assert boxes(session)["0"] == pytest.approx([420, 240, 400, 400], abs=8)
