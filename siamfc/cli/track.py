"""`siamfc track`: track one target through a source."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from siamfc.cli.failures import InputError, needs_extra
from siamfc.cli.options import (
    TIMEOUT_S,
    BoxType,
    make_client,
    make_predictor,
    network_options,
    refuse_both,
    server_options,
)
from siamfc.cli.outputs import STDOUT, check_outputs, writing
from siamfc.cli.progress import progress

if TYPE_CHECKING:
    from siamfc.cli.following import TrackedFrames
    from siamfc.cli.frames import Source


@click.command()
@click.argument("source")
@click.option("--box", type=BoxType(), required=True, help="The target's box in the first frame, in pixels.")
@click.option("--json", "json_path", metavar="OUT.jsonl", help="Write one JSON line per frame; - means stdout.")
@click.option(
    "--video",
    "video_path",
    metavar="OUT.mp4",
    type=click.Path(path_type=Path),
    help="Write a video of the frames with their boxes, as H.264.",
)
@click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=TIMEOUT_S,
    show_default=True,
    help="Longest wait for a stream's next frame.",
)
@server_options
@network_options
def track(
    source: str,
    box: tuple[float, float, float, float],
    json_path: str | None,
    video_path: Path | None,
    timeout_s: float,
    server: str | None,
    api_key: str | None,
    weights: Path | None,
    device: str | None,
    runtime: str | None,
    precision: str | None,
) -> None:
    """Track a target through a source.

    SOURCE is a video file, a folder of images, a camera's number or a stream's URL. --box marks the target in its first
    frame. The network runs in this process, or on a server with --server. Without --json and --video, JSON lines go to
    stdout. A camera or stream goes on until Ctrl-C.

    Output files are written as NAME.*.part and renamed at the end. If the source fails on the way, the results so far
    are kept, and the exit status is 2 for a file and 1 for a camera or stream.
    """
    refuse_both(server, weights=weights, device=device, runtime=runtime, precision=precision, api_key=api_key)
    from siamfc.cli.following import follow_in_process, follow_on_server
    from siamfc.cli.sources import open_source

    container = _container(video_path)
    opened = open_source(source, timeout_s)
    check_outputs({"--json": json_path, "--video": video_path}, [*opened.files, *([weights] if weights else [])])
    with ExitStack() as stack:
        if server is not None:
            followed = follow_on_server(opened.frames(), box, stack.enter_context(make_client(server, api_key)))
        else:
            followed = follow_in_process(opened.frames(), box, make_predictor(weights, device, runtime, precision))
        try:
            _write(stack.enter_context(closing(followed)), opened, json_path, video_path, container)
        except KeyboardInterrupt:
            # Ctrl-C is how a live source ends; any other source was cut short.
            if not opened.live:
                raise
    if opened.fault is not None:
        raise opened.fault


def _container(video_path: Path | None) -> str:
    """The kind of file that `--video` names by its ending, "" without --video. Raises InputError for another kind."""
    if video_path is None:
        return ""
    with needs_extra("opencv", "--video"):
        from siamfc.cli.overlay import CONTAINERS
    suffix = video_path.suffix.lower()
    if suffix not in CONTAINERS:
        raise InputError(f"--video {video_path}: is written as H.264; the ending must be {', '.join(CONTAINERS)}")
    return CONTAINERS[suffix]


def _write(
    followed: TrackedFrames, source: Source, json_path: str | None, video_path: Path | None, container: str
) -> None:
    if json_path is None and video_path is None:
        json_path = STDOUT
    with ExitStack() as stack:
        lines = stack.enter_context(_text(json_path)) if json_path is not None else None
        video = None
        if video_path is not None:
            from siamfc.cli.overlay import OverlayVideo

            partial = stack.enter_context(writing(video_path))
            video = stack.enter_context(OverlayVideo(partial, source.fps, container))
        report = stack.enter_context(progress("tracking", source.total))
        for count, (frame, targets) in enumerate(followed):
            if lines is not None:
                index = count if frame.index is None else frame.index
                lines.write(json.dumps({"frame_index": index, "targets": targets}) + "\n")
                lines.flush()
            if video is not None:
                video.write(frame.bgr(), targets)
            report(count + 1)


@contextmanager
def _text(path: str) -> Iterator[TextIO]:
    if path == STDOUT:
        yield sys.stdout
        return
    with writing(Path(path)) as partial, partial.open("w", encoding="utf-8") as file:
        yield file
