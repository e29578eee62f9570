"""Tracking in this process and on a server, behind one interface."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from model.boxes import Box
from model.images import decode
from model.inference.predictor import Predictor
from model.inference.single import SingleTracker
from siamfc import FrameSizeChanged, InvalidBox, InvalidFrame, InvalidImage, Target
from siamfc.backends import Backend, OnServer, open_backend
from siamfc.in_process import InProcess
from tests.siamfc.cli.conftest import pictures
from tests.support.fake_server import FakeServer

BOX = (10.0, 20.0, 8.0, 6.0)


def png(frame: np.ndarray[Any, Any]) -> bytes:
    return cv2.imencode(".png", frame)[1].tobytes()


def test_in_process_is_the_model_s_single_tracker(in_process: Backend, tiny_predictor: Predictor) -> None:
    frames = [png(frame) for frame in pictures()]
    expected = SingleTracker(tiny_predictor)
    expected.start(decode(frames[0]), Box(*BOX))
    tracker = in_process.tracker()
    assert tracker.start(frames[0], BOX) == Target("0", BOX, 1.0, "tracking")
    for frame in frames[1:]:
        track = expected.update(decode(frame))
        box = track.box
        assert tracker.update(frame) == Target("0", (box.x, box.y, box.w, box.h), track.score, track.status)


def test_arrays_bytes_and_paths_are_the_same_frame(in_process: Backend, tmp_path: Path) -> None:
    first, second = pictures()[:2]
    path = tmp_path / "second.png"
    path.write_bytes(png(second))
    found = []
    for frame in (second, png(second), path, str(path)):
        tracker = in_process.tracker()
        tracker.start(first, BOX)
        found.append(tracker.update(frame))
    assert found == [found[0]] * 4


def test_a_grey_array_is_the_same_as_its_three_equal_channels(in_process: Backend) -> None:
    grey = pictures()[0][..., 0]
    tracker = in_process.tracker()
    tracker.start(grey, BOX)
    first = tracker.update(grey)
    tracker.start(np.repeat(grey[..., None], 3, axis=2), BOX)
    assert tracker.update(np.repeat(grey[..., None], 3, axis=2)) == first


@pytest.mark.parametrize(
    ("frame", "box", "error"),
    [
        pytest.param(pictures()[0], (100, 100, 5, 5), InvalidBox, id="a box off the frame"),
        pytest.param(pictures()[0], (1, 2, 3), InvalidBox, id="three numbers"),
        pytest.param(b"no image", BOX, InvalidImage, id="no image"),
        pytest.param(b"", BOX, InvalidFrame, id="no bytes"),
        pytest.param(pictures()[0].astype(float), BOX, InvalidFrame, id="floats"),
    ],
)
def test_the_client_s_errors_in_process(
    in_process: Backend, frame: Any, box: tuple[float, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        in_process.tracker().start(frame, box)


def test_another_size_is_refused(in_process: Backend) -> None:
    tracker = in_process.tracker()
    tracker.start(pictures()[0], BOX)
    with pytest.raises(FrameSizeChanged, match="the frame is 20 x 30; the first frame was 64 x 48"):
        tracker.update(np.zeros((30, 20, 3), np.uint8))


@pytest.mark.parametrize("backend", ["in_process", "on_server"])
def test_update_before_start(backend: str, request: pytest.FixtureRequest) -> None:
    tracker = request.getfixturevalue(backend).tracker()
    with pytest.raises(RuntimeError, match="update before start"):
        tracker.update(pictures()[0])
    tracker.start(pictures()[0], BOX)
    tracker.close()
    with pytest.raises(RuntimeError, match="update before start"):
        tracker.update(pictures()[0])


def test_on_a_server_every_target_has_a_session(on_server: Backend, server: FakeServer) -> None:
    one, two = on_server.tracker(), on_server.tracker()
    one.start(pictures()[0], BOX)
    two.start(pictures()[0], (1, 2, 3, 4))
    assert one.update(pictures()[1]).box == (11, 20, 8, 6)
    assert two.update(pictures()[1]).box == (2, 2, 3, 4)
    assert len(server.sessions) == 2
    one.start(pictures()[0], BOX)
    assert len(server.sessions) == 2
    one.close()
    two.close()
    assert not server.sessions


def test_open_backend_chooses(server: FakeServer) -> None:
    on_server = open_backend(server.url)
    assert isinstance(on_server, OnServer)
    on_server.close()
    assert isinstance(open_backend(weights="light", runtime="torch", precision="fp32"), InProcess)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"server": "http://h", "weights": "light"}, "the server's own", id="weights"),
        pytest.param({"server": "http://h", "device": "cpu"}, "the server's own", id="device"),
        pytest.param({"api_key": "k"}, "go with a server", id="key"),
        pytest.param({"restart": True}, "go with a server", id="restart"),
        pytest.param({"server": "localhost:8000"}, "a server's address is", id="address"),
    ],
)
def test_open_backend_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_backend(**options)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("model."):
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"needs torch: pip install 'siamfc-service\[server\]', or give a server"):
        open_backend()
