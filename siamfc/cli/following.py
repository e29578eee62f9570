"""Track one target through a source, in this process or through a server: frames in, `(frame, targets)` out."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from model.errors import InvalidBoxError
from siamfc.cli.failures import InputError, refused_frame
from siamfc.cli.frames import SourceFrame

if TYPE_CHECKING:
    from model.inference.predictor import Predictor
    from model.tracker import Track
    from siamfc import Client

Box = tuple[float, float, float, float]
TrackedFrames: TypeAlias = Generator[tuple[SourceFrame, list[dict[str, Any]]], None, None]
"""Pairs of a frame and its targets, from frame 0 with the given box. A target is `{"id", "box", "score", "status"}`;
boxes are [x, y, w, h] in pixels, 0-indexed."""


def follow_in_process(frames: Iterator[SourceFrame], box: Box, predictor: Predictor) -> TrackedFrames:
    """Track in this process.

    Raises InputError, naming the frame, where it cannot be decoded or has another size than the first, and for the box.
    """
    from model.boxes import Box as ModelBox
    from model.inference.single import SingleTracker

    first = _first(frames)
    pixels = first.rgb()
    size = pixels.shape[:2]
    tracker = SingleTracker(predictor)
    try:
        given = ModelBox.checked(box, (size[1], size[0]))
    except InvalidBoxError as error:
        raise InputError(f"{first.label}: {error}") from error
    yield first, [_target(tracker.start(pixels, given))]
    for frame in frames:
        pixels = frame.rgb()
        if pixels.shape[:2] != size:
            shape = f"{pixels.shape[1]} x {pixels.shape[0]}"
            raise InputError(f"{frame.label}: is {shape}; the first frame is {size[1]} x {size[0]}")
        yield frame, [_target(tracker.update(pixels))]


def follow_on_server(frames: Iterator[SourceFrame], box: Box, client: Client) -> TrackedFrames:
    """Track through a server. Raises InputError for a frame that the server refuses, and ClientError."""
    from siamfc import Failed, ProblemError, Result

    first = _first(frames)
    under_way: deque[SourceFrame] = deque()

    def contents() -> Iterator[Any]:
        for frame in frames:
            under_way.append(frame)
            yield frame.content

    with refused_frame(first.label):
        started = client.start(first.content, box)
    with started as session:
        yield first, [target.as_json() for target in session.started.targets]
        for answer in session.stream(contents()):
            frame = under_way.popleft()
            if isinstance(answer, Result):
                yield frame, [target.as_json() for target in answer.targets]
            elif isinstance(answer, Failed) and answer.problem.status < 429:
                raise InputError(f"{frame.label}: {answer.problem}")
            else:
                problem = answer.problem if isinstance(answer, Failed) else "the server dropped the frame"
                raise (problem if isinstance(problem, ProblemError) else RuntimeError(f"{frame.label}: {problem}"))


def _first(frames: Iterator[SourceFrame]) -> SourceFrame:
    for frame in frames:
        return frame
    raise InputError("the source has no frame")


def _target(track: Track) -> dict[str, Any]:
    return {"id": "0", "box": track.box.as_list(), "score": track.score, "status": track.status}
