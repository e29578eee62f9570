"""`siamfc track`: follow one target through a source."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from siamfc.cli.failures import InputError
from siamfc.cli.options import BoxType, make_client, make_predictor, network_options, refuse_both, server_options
from siamfc.cli.progress import progress

if TYPE_CHECKING:
    from siamfc.cli.following import Followed
    from siamfc.cli.sources import Source


@click.command()
@click.argument("source")
@click.option("--box", type=BoxType(), required=True, help="Where the target is in the first frame, in pixels.")
@click.option("--json", "json_path", metavar="OUT.jsonl", help="Write one JSON line a frame; - is stdout.")
@click.option(
    "--video",
    "video_path",
    metavar="OUT.mp4",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the frames with their boxes drawn.",
)
@server_options
@network_options
def track(
    source: str,
    box: tuple[float, float, float, float],
    json_path: str | None,
    video_path: Path | None,
    server: str | None,
    api_key: str | None,
    weights: Path | None,
    device: str | None,
    runtime: str | None,
    precision: str | None,
) -> None:
    """Follow a target through a source.

    The target is what --box shows in the first frame of SOURCE.

    SOURCE: a video file, a folder of images, a camera's number or a stream's URL. In process, or through a server with
    --server. Without --json and --video, JSON lines go to stdout. A camera or stream goes on until Ctrl-C.
    """
    refuse_both(server, weights=weights, device=device, runtime=runtime, precision=precision, api_key=api_key)
    from siamfc.cli.following import follow_in_process, follow_on_server
    from siamfc.cli.sources import open_source

    opened = open_source(source)
    with ExitStack() as stack:
        if server is not None:
            followed = follow_on_server(opened.frames(), box, stack.enter_context(make_client(server, api_key)))
        else:
            followed = follow_in_process(opened.frames(), box, make_predictor(weights, device, runtime, precision))
        try:
            _write(stack.enter_context(closing(followed)), opened, json_path, video_path)
        except KeyboardInterrupt:
            # What never ends by itself is ended so; anything else has been cut short.
            if not opened.live:
                raise


def _write(followed: Followed, source: Source, json_path: str | None, video_path: Path | None) -> None:
    from siamfc.cli.overlay import OverlayVideo

    if json_path is None and video_path is None:
        json_path = "-"
    with ExitStack() as stack:
        lines = stack.enter_context(_text(json_path)) if json_path is not None else None
        video = stack.enter_context(OverlayVideo(video_path, source.fps)) if video_path is not None else None
        report = stack.enter_context(progress("tracking", source.total))
        for index, (frame, targets) in enumerate(followed):
            if lines is not None:
                lines.write(json.dumps({"frame_index": index, "targets": targets}) + "\n")
                lines.flush()
            if video is not None:
                video.write(frame.bgr(), targets)
            report(index + 1)


@contextmanager
def _text(path: str) -> Iterator[TextIO]:
    if path == "-":
        yield sys.stdout
        return
    try:
        file = open(path, "w", encoding="utf-8")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    with file:
        yield file
