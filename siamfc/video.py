"""A target followed through a video in one call."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Unpack

from siamfc.backends import Where, open_backend
from siamfc.client import Target
from siamfc.client.calls import BoxLike
from siamfc.client.results import TargetsMixin

if TYPE_CHECKING:
    from siamfc.cli.frames import SourceFrame, Uint8Image


@dataclass(frozen=True, slots=True)
class TrackedFrame(TargetsMixin):
    """One frame of a source and its targets. frame_index: its number in the source, from 0."""

    frame_index: int
    targets: tuple[Target, ...]
    source_frame: SourceFrame = field(repr=False, compare=False)

    @property
    def image(self) -> Uint8Image:
        """The pixels, uint8 BGR [H, W, 3]; of an image file, decoded at every use, which needs OpenCV."""
        return self.source_frame.bgr()


def track_video(
    source: str | os.PathLike[str], box: BoxLike, **where: Unpack[Where]
) -> Generator[TrackedFrame, None, None]:
    """Follow what `box`, [x, y, w, h] in pixels, shows in the first frame of a source; that frame comes first.

    source: as `siamfc track` takes it: a video file, a folder of images, a camera's number or a stream's URL. where:
    as `siamfc.backends.open_backend`. Raises click.ClickException, with one sentence that says why, where the source
    cannot be read to its end, and the client's errors.
    """
    from siamfc.cli.sources import open_source

    opened = open_source(os.fspath(source))
    backend = open_backend(**where)
    tracker = backend.tracker()
    try:
        for count, frame in enumerate(opened.frames()):
            target = tracker.update(frame.content) if count else tracker.start(frame.content, box)
            yield TrackedFrame(count if frame.index is None else frame.index, (target,), frame)
        if opened.fault is not None:
            raise opened.fault
    finally:
        tracker.close()
        backend.close()
