"""`siamfc eval`: one-pass evaluation over a folder of sequences."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.failures import InputError, needs_extra
from service.cli.options import make_client, make_predictor, network_options, refuse_both, server_options
from service.cli.progress import progress

if TYPE_CHECKING:
    from model.boxes import Box
    from model.evaluation.one_pass import Follower
    from service.client import Client, Session


@click.command("eval")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--json",
    "json_path",
    metavar="[OUT.json]",
    is_flag=False,
    flag_value="-",
    help="Write the report as JSON; to stdout without a file. Put it after DIR.",
)
@click.option("--boxes", is_flag=True, help="Put every frame's box into the JSON report.")
@click.option(
    "--plots",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write success and precision plots there.",
)
@server_options
@network_options
def evaluate(
    folder: Path,
    json_path: str | None,
    boxes: bool,
    plots: Path | None,
    server: str | None,
    api_key: str | None,
    weights: Path | None,
    device: str | None,
    precision: str | None,
) -> None:
    """Score on sequences with ground truth.

    Follows every sequence once, from its first box, and never starts again. Prints a table, or JSON with --json.
    DIR/*/{img,groundtruth.txt}, or the layouts of OTB and GOT-10k.
    """
    refuse_both(server, weights=weights, device=device, precision=precision, api_key=api_key)
    from model.evaluation import one_pass
    from model.evaluation.sequences import read_sequences

    sequences = read_sequences(folder)
    with ExitStack() as stack:
        make_follower: Callable[[], Follower]
        if server is not None:
            client = stack.enter_context(make_client(server, api_key))
            make_follower = lambda: stack.enter_context(ServerFollower(client))  # noqa: E731
        else:
            make_follower = _in_process(weights, device, precision)
        finished = {sequence.name: 0 for sequence in sequences}
        total = sum(len(sequence.frames) - sequence.first for sequence in sequences)
        report_progress = stack.enter_context(progress("evaluating", total))
        skipped = {sequence.name: sequence.first for sequence in sequences}

        def on_frame(name: str, done: int, _: int) -> None:
            finished[name] = done - skipped[name]
            report_progress(sum(finished.values()), name)

        report = one_pass.evaluate(sequences, make_follower, on_frame)
    if plots is not None:
        from model.evaluation.plots import write_plots

        write_plots(report, plots)
    if json_path is None:
        click.echo(report.table())
        return
    text = json.dumps(report.as_json(boxes=boxes), indent=2)
    if json_path == "-":
        click.echo(text)
        return
    try:
        Path(json_path).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{json_path}: cannot be written: {error.strerror}") from error


class ServerFollower:
    """`model.evaluation.one_pass.Follower` through a server: image files are sent as they are."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._session: Session | None = None

    def start(self, frame: Path, box: Box) -> None:
        """Follow what `box` shows in the image file. Raises ClientError."""
        self._session = self._client.start(frame, box.as_list())

    def update(self, frame: Path) -> Box:
        """Where the target is in the next image file. Raises InputError, naming a file that the server refuses."""
        from model.boxes import Box
        from service.client import FrameError

        assert self._session is not None, "update before start"
        try:
            return Box(*self._session.update(frame).box)
        except FrameError as error:
            raise InputError(f"{frame}: {error.problem}") from error

    def __enter__(self) -> ServerFollower:
        return self

    def __exit__(self, *details: object) -> None:
        if self._session is not None:
            self._session.__exit__(*details)  # type: ignore[arg-type]


def _in_process(weights: Path | None, device: str | None, precision: str | None) -> Callable[[], Follower]:
    predictor = make_predictor(weights, device, precision)
    with needs_extra("server", "evaluating in this process (without --server)"):
        from model.evaluation.in_process import InProcessFollower
    return lambda: InProcessFollower(predictor)
