"""The tracking function as CVAT's agent loads and calls it: by the loader and the worker's jobs of cvat-cli."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from siamfc.backends import Backend
from tests.siamfc.cli.conftest import pictures
from tests.support.fake_server import FakeServer
from tests.support.scenes import translation

cvat_cli = pytest.importorskip("cvat_cli", reason="the packages cvat-cli and cvat-sdk are not installed")

Load = Callable[..., Any]


def image(frame: np.ndarray[Any, Any]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(frame[..., ::-1]))


@pytest.fixture
def load() -> Load:
    """Loads the function into this process as an agent's worker does; the module of the worker's jobs."""
    from cvat_cli._internal import agent_driver, agent_driver_tracking
    from cvat_cli._internal.common import FunctionLoader

    def load(**parameters: Any) -> Any:
        function = FunctionLoader("siamfc.adapters.cvat_agent", None, parameters).load()
        agent_driver.set_worker_current_function(function)
        keys = (f"state {index}" for index in range(100))
        agent_driver_tracking.AgentTrackingFunctionDriver.init_worker(lambda: next(keys))
        return agent_driver_tracking

    return load


def test_the_agent_s_jobs(load: Load, server: FakeServer) -> None:
    from cvat_sdk.auto_annotation import TrackableShape

    jobs = load(server=server.url)
    frames = [image(frame) for frame in pictures()]
    shapes = [TrackableShape(type="rectangle", points=points) for points in ([10, 20, 18, 26], [5, 9, 1, 2])]
    states = jobs._worker_job_init_tracking(7, frames[0], shapes)
    assert states == ["state 0", "state 1"]
    (one, two) = jobs._worker_job_track(7, frames[1], states)
    assert (one.type, one.points, two.points) == ("rectangle", [11, 20, 19, 26], [2, 2, 6, 9])
    assert jobs._worker_job_track(7, frames[2], states[1:])[0].points == [3, 2, 7, 9]


def test_a_lost_shape_is_none(load: Load, server: FakeServer) -> None:
    from cvat_sdk.auto_annotation import TrackableShape

    jobs = load(server=server.url)
    frame = image(pictures()[0])
    states = jobs._worker_job_init_tracking(7, frame, [TrackableShape(type="rectangle", points=[10, 20, 18, 26])])
    next(iter(server.sessions.values()))["targets"][0]["status"] = "lost"
    assert jobs._worker_job_track(7, frame, states) == [None]


def test_the_spec(load: Load, server: FakeServer) -> None:
    from cvat_cli._internal.agent import get_function_driver_class
    from cvat_sdk.auto_annotation import TrackingFunctionSpec

    from siamfc.adapters.cvat_agent import Function

    assert isinstance(Function.spec, TrackingFunctionSpec)
    driver = get_function_driver_class(Function.spec)
    assert (driver.FUNCTION_KIND, driver.get_remote_function_fields(Function.spec)) == (
        "tracker",
        {"supported_shape_types": ["rectangle"]},
    )


def test_in_process_it_follows_a_rendered_target(load: Load, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    from cvat_sdk.auto_annotation import TrackableShape

    monkeypatch.setattr("siamfc.adapters.cvat_agent.open_backend", lambda **_: backend)
    jobs, scene = load(weights="light"), translation(6)
    x, y, w, h = scene.truth[0]
    start = TrackableShape(type="rectangle", points=[x, y, x + w, y + h])
    states = jobs._worker_job_init_tracking(1, Image.fromarray(scene.frames[0]), [start])
    for frame, (x, y, w, h) in zip(scene.frames[1:], scene.truth[1:], strict=True):
        (shape,) = jobs._worker_job_track(1, Image.fromarray(frame), states)
        assert np.abs(np.array(shape.points) - [x, y, x + w, y + h]).max() < 8
