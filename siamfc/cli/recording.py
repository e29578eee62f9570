"""What `siamfc track` writes for a source: results, a video, and a line that sums up."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from siamfc.cli.failures import InputError, needs_extra
from siamfc.cli.outputs import STDOUT, writing
from siamfc.cli.sources import STDIN

if TYPE_CHECKING:
    from siamfc.cli.following import Followed
    from siamfc.cli.overlay import OverlayVideo
    from siamfc.exports import Writer

FORMATS = ("jsonl", "csv", "mot", "cvat", "coco")
"""The names of `siamfc.exports.FORMATS`, which loads more than a command line should before it is needed."""

NAME = "{name}"
"""Stands in an output's path for the name of its source."""

_BY_ENDING: Mapping[str, str] = MappingProxyType(
    {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".txt": "mot", ".xml": "cvat", ".json": "coco"}
)


@dataclass(frozen=True, slots=True)
class Output:
    """One output: the option that asked for it, its path (`-` is stdout), and a format or a video's container."""

    option: str
    path: str
    kind: str

    def of(self, source: str) -> Output:
        """This output with the source's name in its path."""
        name = "stdin" if source == STDIN else Path(source).stem
        return Output(self.option, self.path.replace(NAME, name), self.kind)


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a source's results go."""

    results: tuple[Output, ...]
    video: Output | None = None

    @classmethod
    def chosen(cls, out: str | None, format: str | None, json_path: str | None, video: str | None) -> Outputs:
        """The outputs that --out, --format, --json and --video ask for. Raises InputError."""
        results = []
        if out is not None:
            results.append(Output("--out", out, format or _format_of(out)))
        elif format is not None or (json_path is None and video is None):
            results.append(Output("--format", STDOUT, format or "jsonl"))
        if json_path is not None:
            results.append(Output("--json", json_path, "jsonl"))
        if [output.path for output in results].count(STDOUT) > 1:
            raise InputError(f"{results[0].option} and --json would both go to stdout")
        return cls(tuple(results), None if video is None else Output("--video", video, _container(video)))

    def of(self, source: str) -> Outputs:
        """These outputs with the source's name in their paths."""
        return Outputs(tuple(output.of(source) for output in self.results), self.video and self.video.of(source))

    @property
    def all(self) -> tuple[Output, ...]:
        """The results and the video."""
        return self.results if self.video is None else (*self.results, self.video)


class Recording:
    """Writes the outputs of one source, and counts. An output is opened at the first frame.

    As a context manager it puts the files into their place; what was written before an error is kept.
    """

    def __init__(self, outputs: Outputs, source: str, fps: float) -> None:
        self._outputs = outputs
        self._source = source
        self._fps = fps
        self._stack = ExitStack()
        self._writers: list[tuple[Writer, TextIO]] = []
        self._video: OverlayVideo | None = None
        self.count = self._lost = 0
        self._began = self._ended = 0.0

    def write(self, followed: Followed) -> None:
        """Add a frame. Raises InputError where a file cannot be written."""
        if not self.count:
            self._open(followed.frame.size())
        for writer, file in self._writers:
            writer.write(followed.index, followed.targets)
            file.flush()
        if self._video is not None:
            self._video.write(followed.frame.bgr(), followed.targets)
        self.count += 1
        self._lost += followed.lost
        self._ended = time.monotonic()

    def summary(self) -> str:
        """What was done: `120 frames, 3 lost, 41 fps -> out.mp4`. A frame is lost in which any target is."""
        facts = [f"{self.count} frame{'' if self.count == 1 else 's'}", f"{self._lost} lost"]
        if self.count > 1 and self._ended > self._began:
            # The first frame is given, not tracked.
            rate = (self.count - 1) / (self._ended - self._began)
            facts.append(f"{rate:.{1 if rate < 10 else 0}f} fps")
        files = [output.path for output in self._outputs.all if output.path != STDOUT]
        return ", ".join(facts) + (f" -> {', '.join(files)}" if files else "")

    def _open(self, size: Sequence[int]) -> None:
        from siamfc.exports import Clip, export

        self._began = time.monotonic()
        clip = Clip(Path(self._source).name, (size[0], size[1]))
        for output in self._outputs.results:
            file = self._stack.enter_context(_text(output.path))
            self._writers.append((self._stack.enter_context(export(output.kind, file, clip)), file))
        video = self._outputs.video
        if video is not None:
            from siamfc.cli.overlay import OverlayVideo

            partial = self._stack.enter_context(writing(Path(video.path)))
            self._video = self._stack.enter_context(OverlayVideo(partial, self._fps, video.kind))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def _format_of(path: str) -> str:
    if path == STDOUT:
        return "jsonl"
    kind = _BY_ENDING.get(Path(path).suffix.lower())
    if kind is None:
        endings = ", ".join(_BY_ENDING)
        raise InputError(f"--out {path}: the ending does not say the format ({endings}); say it with --format")
    return kind


def _container(video: str) -> str:
    """The kind of file that `--video` names by its ending. Raises InputError for another kind."""
    with needs_extra("opencv", "--video"):
        from siamfc.cli.overlay import CONTAINERS
    suffix = Path(video).suffix.lower()
    if suffix not in CONTAINERS:
        raise InputError(f"--video {video}: is written as H.264; the ending must be {', '.join(CONTAINERS)}")
    return CONTAINERS[suffix]


@contextmanager
def _text(path: str) -> Iterator[TextIO]:
    if path == STDOUT:
        yield sys.stdout
        return
    with writing(Path(path)) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        yield file
