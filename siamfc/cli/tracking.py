"""The work of `siamfc track`: sources, one after the other, followed and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import click

from model.errors import ModelError
from siamfc.cli.failures import Failure, InputError
from siamfc.cli.following import Boxes, FollowedFrames, NoFrameError
from siamfc.cli.frames import Sampling, SourceFrame
from siamfc.cli.outputs import check_outputs
from siamfc.cli.progress import progress
from siamfc.cli.recording import NAME, Outputs, Recording
from siamfc.cli.sources import files_of, open_source, openable

Follow: TypeAlias = Callable[[Iterator[SourceFrame], Boxes], FollowedFrames]
"""Follows boxes through frames, where the network is."""


@dataclass(frozen=True, slots=True)
class Work:
    """How every source is followed. boxes: None lets the user draw them on the first frame of every source."""

    boxes: Boxes | None
    sampling: Sampling
    timeout_s: float
    quiet: bool
    follow: Follow

    def follow_all(self, sources: Mapping[str, Outputs]) -> None:
        """Follow the sources into their outputs. One that fails does not keep the others from their turn.

        Raises what the only source raises, else Failure with the status of the first that failed.
        """
        failures: list[click.ClickException] = []
        for source, outputs in sources.items():
            try:
                self._follow(source, outputs)
            except (InputError, Failure, ModelError) as error:
                if len(sources) == 1:
                    raise
                failures.append(error if isinstance(error, click.ClickException) else InputError(str(error)))
                click.echo(f"siamfc: {failures[-1].message}", err=True)
        if failures:
            status = failures[0].status if isinstance(failures[0], Failure) else failures[0].exit_code
            raise Failure(f"{len(failures)} of {len(sources)} sources failed", status)

    def _follow(self, source: str, outputs: Outputs) -> None:
        opened = open_source(source, self.timeout_s)
        recording = Recording(outputs, source, opened.fps / self.sampling.every)
        try:
            followed = self._followed(opened.frames(self.sampling))
            with recording, closing(followed):
                self._record(followed, recording, self.sampling.count(opened.total))
        except NoFrameError as error:
            first = self.sampling.start
            raise opened.fault or InputError(f"{source}: there is no frame {first}" if first else str(error)) from error
        except KeyboardInterrupt:
            # Ctrl-C is how a live source ends; any other source was cut short.
            if not opened.live:
                if recording.count:
                    self._say(f"interrupted after {recording.summary()}")
                raise
        if opened.fault is not None:
            raise opened.fault
        self._say(recording.summary())

    def _followed(self, frames: Iterator[SourceFrame]) -> FollowedFrames:
        boxes = self.boxes
        if boxes is None:
            from siamfc.cli.selecting import select_boxes

            first = next(frames, None)
            if first is None:
                raise NoFrameError("the source has no frame")
            boxes, frames = select_boxes(first), chain([first], frames)
        return self.follow(frames, boxes)

    def _record(self, followed: FollowedFrames, recording: Recording, total: int | None) -> None:
        with progress("tracking", total, quiet=self.quiet) as report:
            for count, frame in enumerate(followed):
                recording.write(frame)
                report(count + 1)

    def _say(self, text: str) -> None:
        if not self.quiet:
            click.echo(text, err=True)


def places_of(sources: Sequence[str], outputs: Outputs, inputs: Iterable[Path]) -> list[Outputs]:
    """The outputs of every source, none of which is an input or another's.

    Raises InputError, also for a source that is seen to be none, and UsageError.
    """
    for source in sources:
        openable(source)
    several = len(sources) > 1
    if several and not all(NAME in output.path for output in outputs.all):
        raise click.UsageError(f"several sources: put {NAME} into --out, --json and --video, for a file of each")
    if len(set(sources)) < len(sources):
        raise click.UsageError("a source is given twice")
    places = [outputs.of(source) for source in sources]
    files: dict[str, Path | str | None] = {}
    for source, place in zip(sources, places, strict=True):
        for output in place.all:
            files[f"{output.option} of {source}" if several else output.option] = output.path
    check_outputs(files, chain(inputs, *map(files_of, sources)))
    return places
