"""Ways to track one clip, for a comparison: through a server, in this process, and by OpenCV's trackers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks._sizes import Clip
from siamfc import Client, Result
from siamfc.backends import TargetTracker

Way = Literal["arrays", "jpeg", "parts"]
"""How frames go to a server: whole arrays, JPEG bytes as they are, or parts of arrays."""


@dataclass(frozen=True, slots=True)
class Followed:
    """One run. ms: each frame's time. boxes: as found. fps: with several frames under way, and kb: sent for a frame.

    fps and kb are of a server alone.
    """

    ms: list[float]
    boxes: list[list[float]]
    fps: float | None = None
    kb: float | None = None


class Contender(Protocol):
    """One way to track."""

    def follow(self, clip: Clip, frames: int, warm: int) -> Followed:
        """Track so many frames after some to warm up, the clip being played to and fro."""


@dataclass(frozen=True)
class ThroughServer:
    """A server, by the client library."""

    url: str
    way: Way

    def follow(self, clip: Clip, frames: int, warm: int) -> Followed:
        played: Sequence[Any] = clip.jpeg if self.way == "jpeg" else clip.bgr

        def source(k: int) -> Any:
            return played[clip.index(k)]

        with Client(self.url, parts="auto" if self.way == "parts" else "never", timeout_s=120) as client:
            with client.start(source(0), clip.truth[0]) as session:
                ms, boxes = _timed(lambda k: list(session.update(source(k)).box), frames, warm)
                kb = session.traffic.bytes_sent / session.traffic.frames / 1e3
            with client.start(source(0), clip.truth[0]) as session:
                begun = time.perf_counter()
                answers = list(session.stream(source(k) for k in range(1, frames + 1)))
                fps = frames / (time.perf_counter() - begun)
        if not all(isinstance(answer, Result) for answer in answers):
            raise RuntimeError("the server refused a frame")
        return Followed(ms, boxes, fps, kb)


@dataclass(frozen=True)
class InThisProcess:
    """A tracker of ours in this process, given arrays. make: a new one."""

    make: Callable[[], TargetTracker]

    def follow(self, clip: Clip, frames: int, warm: int) -> Followed:
        tracker = self.make()
        tracker.start(clip.bgr[0], clip.truth[0])
        return Followed(*_timed(lambda k: list(tracker.update(clip.bgr[clip.index(k)]).box), frames, warm))


@dataclass(frozen=True)
class OfOpenCV:
    """A tracker of OpenCV in this process. make: a new one."""

    make: Callable[[], Any]

    def follow(self, clip: Clip, frames: int, warm: int) -> Followed:
        tracker = self.make()
        last = [int(value) for value in clip.truth[0]]
        tracker.init(clip.bgr[0], tuple(last))

        def update(k: int) -> list[float]:
            found, box = tracker.update(clip.bgr[clip.index(k)])
            last[:] = box if found else last
            return [float(value) for value in last]

        return Followed(*_timed(update, frames, warm))


def opencv_contenders(names: tuple[str, ...], nano: tuple[Path, ...], vit: Path | None) -> dict[str, Contender]:
    """OpenCV's trackers by name: those of this build among `names`, and those whose ONNX files are given.

    nano: NanoTrack's backbone and head. Raises ValueError where these are not two, and for a name that is none here.
    """
    from model.evaluation.opencv import available

    here = available()
    if set(names) - set(here):
        raise ValueError(f"this OpenCV has the trackers {', '.join(sorted(here))}, not {', '.join(names)}")
    makers = {name: here[name] for name in names}
    if nano:
        backbone, head = map(str, nano)
        makers["nano"] = lambda: _with_files("Nano", backbone=backbone, neckhead=head)
    if vit is not None:
        makers["vit"] = lambda: _with_files("Vit", net=str(vit))
    return {f"OpenCV {name}": OfOpenCV(make) for name, make in makers.items()}


def _with_files(name: str, **files: str) -> Any:
    parameters = getattr(cv2, f"Tracker{name}_Params")()
    for field, path in files.items():
        setattr(parameters, field, path)
    return getattr(cv2, f"Tracker{name}_create")(parameters)


def _timed(update: Callable[[int], list[float]], frames: int, warm: int) -> tuple[list[float], list[list[float]]]:
    """Milliseconds and boxes of the frames behind those that warm up."""
    ms, boxes = [], []
    for k in range(1, warm + frames + 1):
        begun = time.perf_counter()
        boxes.append(update(k))
        ms.append(1e3 * (time.perf_counter() - begun))
    return ms[warm:], boxes[warm:]


def truth_of(clip: Clip, frames: int, warm: int) -> NDArray[np.float64]:
    """The boxes of the frames that `Contender.follow` times, float64 [frames, 4]."""
    return clip.truth[[clip.index(k) for k in range(warm + 1, warm + frames + 1)]]
