"""`siamfc.opencv.Tracker` beside OpenCV's own trackers: one loop drives either."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from siamfc import InvalidBox
from siamfc.backends import Backend
from siamfc.opencv import Tracker
from tests.siamfc.cli.conftest import pictures
from tests.support.fake_server import FakeServer
from tests.support.scenes import translation

BOX = (10, 20, 8, 6)


def drive(tracker: Any, frames: list[Any], box: tuple[int, ...]) -> list[tuple[bool, tuple[float, ...]]]:
    """The loop that a program has around an OpenCV tracker."""
    tracker.init(frames[0], box)
    return [tracker.update(frame) for frame in frames[1:]]


def test_the_loop_of_an_opencv_program(server: FakeServer) -> None:
    with Tracker(server=server.url) as tracker:
        found = drive(tracker, pictures(), BOX)
        assert found == [(True, (11 + k, 20, 8, 6)) for k in range(4)]
        assert tracker.getTrackingScore() == 0.9
    assert not server.sessions


def test_opencv_s_own_tracker_is_driven_by_the_same_loop() -> None:
    scene = translation(6)
    frames = [cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in scene.frames]
    box = tuple(round(value) for value in scene.truth[0])
    ours = drive(Tracker(weights="light"), frames, box)
    theirs = drive(cv2.TrackerMIL_create(), frames, box)  # type: ignore[attr-defined]
    assert [type(found[0]) for found in ours] == [type(found[0]) for found in theirs]
    assert [len(found[1]) for found in ours] == [len(found[1]) for found in theirs]
    assert np.abs(np.array(ours[-1][1]) - scene.truth[-1]).max() < 6


def test_a_lost_target_is_said_not_to_be_seen(server: FakeServer) -> None:
    with Tracker(server=server.url) as tracker:
        tracker.init(pictures()[0], BOX)
        next(iter(server.sessions.values()))["targets"][0]["status"] = "lost"
        assert tracker.update(pictures()[1]) == (False, (11, 20, 8, 6))


def test_trackers_share_a_backend(on_server: Backend, server: FakeServer) -> None:
    trackers = [Tracker(on_server), Tracker(on_server)]
    for tracker in trackers:
        tracker.init(pictures()[0], BOX)
    trackers[0].close()
    assert trackers[1].update(pictures()[1])[0]
    trackers[1].close()
    with pytest.raises(ValueError, match="give a backend, or"):
        Tracker(on_server, server=server.url)


def test_misuse_is_refused(server: FakeServer) -> None:
    with Tracker(server=server.url) as tracker:
        with pytest.raises(RuntimeError, match="before init"):
            tracker.getTrackingScore()
        with pytest.raises(RuntimeError, match="before start"):
            tracker.update(pictures()[0])
        with pytest.raises(InvalidBox):
            tracker.init(pictures()[0], (1, 2, 0, 4))
