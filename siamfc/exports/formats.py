"""The formats by name, and the two ways to write one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TextIO

from model.files import replacing
from siamfc.exports.coco import Coco
from siamfc.exports.cvat import Cvat
from siamfc.exports.lines import Csv, JsonLines, Mot
from siamfc.exports.writers import Clip, Writer

if TYPE_CHECKING:
    from siamfc.video import TrackedFrame

FORMATS: Mapping[str, Callable[[TextIO, Clip], Writer]] = MappingProxyType(
    {"csv": Csv, "jsonl": JsonLines, "mot": Mot, "cvat": Cvat, "coco": Coco}
)


@contextmanager
def export(format: str, file: TextIO, clip: Clip) -> Iterator[Writer]:
    """A writer of that format on an open text file (for csv: opened with `newline=""`).

    What was written until an error is kept whole: the end is written then too. Raises ValueError for an unknown format.
    """
    if format not in FORMATS:
        raise ValueError(f"the format is one of {', '.join(FORMATS)}, not {format!r}")
    writer = FORMATS[format](file, clip)
    try:
        yield writer
    finally:
        writer.close()


def save(frames: Iterable[TrackedFrame], path: str | os.PathLike[str], format: str) -> int:
    """Write what `track_video` gives to a file, taking the frames one by one; how many there were.

    Raises ValueError for an unknown format or where there is no frame, and whatever `frames` raises, after the frames
    before it are written. The file is written beside its place, as `NAME.*.part`, and renamed at the end.
    """
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise ValueError("there is no frame to save")
    clip = Clip(Path(path).name, first.source_frame.size())
    count = 0
    with (
        replacing(Path(path), keep=True) as partial,
        partial.open("w", encoding="utf-8", newline="") as file,
        export(format, file, clip) as writer,
    ):
        for frame in chain([first], rest):
            writer.write(frame.frame_index, frame.targets)
            count += 1
    return count
