"""`siamfc track`: track targets through sources."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from siamfc.cli.frames import Sampling
from siamfc.cli.options import (
    TIMEOUT_S,
    NamedBoxType,
    by_name,
    make_client,
    make_predictor,
    network_options,
    refuse_both,
    server_options,
)
from siamfc.cli.recording import FORMATS, Outputs

if TYPE_CHECKING:
    from siamfc.cli.tracking import Follow


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "--box", "boxes", type=NamedBoxType(), multiple=True, help="A target's box in the first frame, in pixels."
)
@click.option("--select", is_flag=True, help="Draw the boxes on the first frame: in a window, or else in a page.")
@click.option("--start", type=click.IntRange(min=0), default=0, help="Number of the first frame, from 0.  [default: 0]")
@click.option("--every", type=click.IntRange(min=1), default=1, help="Follow every Nth frame.  [default: 1]")
@click.option("--out", metavar="OUT", help="Write the results; - means stdout.")
@click.option("--format", "format", type=click.Choice(FORMATS), help="Format of the results; else by --out's ending.")
@click.option("--json", "json_path", metavar="OUT.jsonl", help="Write one JSON line per frame; - means stdout.")
@click.option("--video", metavar="OUT.mp4", help="Write a video of the frames with their targets, as H.264.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, and no line at the end.")
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
    sources: tuple[str, ...],
    boxes: tuple[tuple[str, tuple[float, float, float, float]], ...],
    select: bool,
    start: int,
    every: int,
    out: str | None,
    format: str | None,
    json_path: str | None,
    video: str | None,
    quiet: bool,
    timeout_s: float,
    server: str | None,
    api_key: str | None,
    weights: Path | None,
    device: str | None,
    runtime: str | None,
    precision: str | None,
) -> None:
    """Track targets through a source.

    SOURCE is a video file, a folder of images, a pipe, - (stdin), a camera's number or a stream's URL. Each --box marks
    a target in its first frame. The network runs in this process, or on a server with --server. Without --out, --json
    and --video, JSON lines go to stdout. A camera or stream goes on until Ctrl-C.

    Several sources are followed one after the other from the same boxes; {name} in an output's path stands for the
    source's name, without folder and ending.

    Output files are written as NAME.*.part and renamed at the end. If a source fails on the way, the results so far
    are kept, and the exit status is 2 for a file and 1 for a camera or stream.
    """
    refuse_both(server, weights=weights, device=device, runtime=runtime, precision=precision, api_key=api_key)
    if bool(boxes) == select:
        raise click.UsageError("mark the targets with --box, or draw them with --select")
    from siamfc.cli.following import follow_in_process, follow_on_server
    from siamfc.cli.tracking import Work, places_of

    named, outputs = None if select else by_name(boxes), Outputs.chosen(out, format, json_path, video)
    places = places_of(sources, outputs, [weights] if weights else [])
    with ExitStack() as stack:
        follow: Follow
        if server is not None:
            follow = partial(follow_on_server, client=stack.enter_context(make_client(server, api_key)))
        else:
            follow = partial(follow_in_process, predictor=make_predictor(weights, device, runtime, precision))
        work = Work(named, Sampling(start, every), timeout_s, quiet, follow)
        work.follow_all(dict(zip(sources, places, strict=True)))
