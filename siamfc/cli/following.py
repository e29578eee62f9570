"""Track targets through a source, in this process or through a server: frames in, `Followed` frames out."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from model.errors import InvalidBoxError
from siamfc.cli.failures import InputError, refused_frame
from siamfc.cli.frames import SourceFrame
from siamfc.client.results import Target

if TYPE_CHECKING:
    from model.inference.predictor import Predictor
    from model.tracker import Track
    from siamfc import Client

Box = tuple[float, float, float, float]
Boxes: TypeAlias = Mapping[str, Box]
"""The targets' first boxes [x, y, w, h], in pixels of the first frame, by their names."""


class NoFrameError(InputError):
    """A source ended before its first frame."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A frame and its targets, in the order of their boxes. index: the frame's number in the source, from 0."""

    frame: SourceFrame
    index: int
    targets: tuple[Target, ...]

    @property
    def lost(self) -> bool:
        """Whether a target is lost in it."""
        return any(target.status == "lost" for target in self.targets)


FollowedFrames: TypeAlias = Generator[Followed, None, None]
"""The source's frames, from the first one with the given boxes."""


def follow_in_process(frames: Iterator[SourceFrame], boxes: Boxes, predictor: Predictor) -> FollowedFrames:
    """Track in this process.

    Raises InputError, naming the frame, where it cannot be decoded or has another size than the first, and for a box.
    """
    from model.boxes import Box as ModelBox
    from model.inference.single import SingleTracker

    first = _first(frames)
    pixels = first.rgb()
    size = pixels.shape[:2]
    trackers = {name: SingleTracker(predictor) for name in boxes}
    given = {}
    for name, box in boxes.items():
        try:
            given[name] = ModelBox.checked(box, (size[1], size[0]))
        except InvalidBoxError as error:
            which = f"target {name}: " if len(boxes) > 1 else ""
            raise InputError(f"{first.label}: {which}{error}") from error
    index = first.index or 0
    yield Followed(first, index, tuple(_target(name, trackers[name].start(pixels, given[name])) for name in boxes))
    for frame in frames:
        pixels = frame.rgb()
        if pixels.shape[:2] != size:
            shape = f"{pixels.shape[1]} x {pixels.shape[0]}"
            raise InputError(f"{frame.label}: is {shape}; the first frame is {size[1]} x {size[0]}")
        index = index + 1 if frame.index is None else frame.index
        targets = tuple(_target(name, tracker.update(pixels)) for name, tracker in trackers.items())
        yield Followed(frame, index, targets)


def follow_on_server(frames: Iterator[SourceFrame], boxes: Boxes, client: Client) -> FollowedFrames:
    """Track through a server. Raises InputError for a frame that the server refuses, and ClientError."""
    from siamfc import Failed, ProblemError, Result

    first = _first(frames)
    under_way: deque[SourceFrame] = deque()

    def contents() -> Iterator[Any]:
        for frame in frames:
            under_way.append(frame)
            yield frame.content

    with refused_frame(first.label):
        started = client.start(first.content, targets=[{"id": name, "box": box} for name, box in boxes.items()])
    with started as session:
        index = first.index or 0
        yield Followed(first, index, session.started.targets)
        for answer in session.stream(contents()):
            frame = under_way.popleft()
            index = index + 1 if frame.index is None else frame.index
            if isinstance(answer, Result):
                yield Followed(frame, index, answer.targets)
            elif isinstance(answer, Failed) and answer.problem.status < 429:
                raise InputError(f"{frame.label}: {answer.problem}")
            else:
                problem = answer.problem if isinstance(answer, Failed) else "the server dropped the frame"
                raise (problem if isinstance(problem, ProblemError) else RuntimeError(f"{frame.label}: {problem}"))


def _first(frames: Iterator[SourceFrame]) -> SourceFrame:
    for frame in frames:
        return frame
    raise NoFrameError("the source has no frame")


def _target(name: str, track: Track) -> Target:
    x, y, w, h = track.box.as_list()
    return Target(name, (x, y, w, h), track.score, track.status)
