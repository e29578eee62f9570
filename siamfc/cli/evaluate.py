"""`siamfc eval`: one-pass evaluation on a folder of sequences."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from siamfc.cli.failures import InputError, needs_extra
from siamfc.cli.options import make_client, make_predictor, network_options, refuse_both, server_options
from siamfc.cli.outputs import STDOUT, check_folder, check_outputs, save_text
from siamfc.cli.progress import progress

if TYPE_CHECKING:
    from model.boxes import Box
    from model.evaluation.one_pass import Follower, Found, Report
    from model.evaluation.sequences import Sequence
    from siamfc import Client, Session

_PAGE = "report.html"


@click.command("eval")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--json",
    "json_path",
    metavar="[OUT.json]",
    is_flag=False,
    flag_value="-",
    help="Write the report as JSON, to stdout without a file. Goes after DIR.",
)
@click.option("--boxes", is_flag=True, help="Add the box and score of every frame to the JSON report.")
@click.option(
    "--plots",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write plots (PNG) and report.html, which shows the worst frames, to DIR.",
)
@click.option("--compare", metavar="NAMES", help="Evaluate OpenCV's trackers too, such as mil or csrt,kcf,mil.")
@click.option(
    "--got10k",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write result files for the GOT-10k toolkit to DIR. Tracks sequences without ground truth too.",
)
@click.option("--name", default="SiamFC", show_default=True, help="The tracker's name in --got10k and --plots.")
@server_options
@network_options
def evaluate(
    folder: Path,
    json_path: str | None,
    boxes: bool,
    plots: Path | None,
    compare: str | None,
    got10k: Path | None,
    name: str,
    server: str | None,
    api_key: str | None,
    weights: Path | None,
    device: str | None,
    runtime: str | None,
    precision: str | None,
) -> None:
    """Evaluate a tracker on sequences with ground truth.

    Tracks every sequence once from its first box, without a restart (one-pass evaluation). Prints a table, or JSON with
    --json. DIR holds NAME/{img,groundtruth.txt}, or has the layout of OTB or GOT-10k.
    """
    refuse_both(server, weights=weights, device=device, runtime=runtime, precision=precision, api_key=api_key)
    from model.evaluation.sequences import read_sequences

    sequences = read_sequences(folder, unscored=got10k is not None)
    scorable = all(sequence.scorable for sequence in sequences)
    _refuse_early(sequences, scorable, json_path, plots)
    check_folder("--got10k", got10k)
    if got10k is not None:
        from model.evaluation.got10k import check_name

        check_name(name)
    rivals = _rivals(compare, name)
    with ExitStack() as stack:
        make_follower: Callable[[], Follower]
        if server is not None:
            client = stack.enter_context(make_client(server, api_key))
            make_follower = lambda: stack.enter_context(ServerFollower(client))  # noqa: E731
        else:
            make_follower = _in_process(weights, device, runtime, precision)
        reports = {each: _run(sequences, maker, each) for each, maker in {name: make_follower, **rivals}.items()}
    if got10k is not None:
        _write_results(reports, got10k)
    if not scorable:
        click.echo(f"tracked {len(sequences)} sequences; without ground truth there is nothing to score")
        return
    if plots is not None:
        _write_plots(reports, name, plots)
    _show(reports, name, json_path, boxes)


def _refuse_early(sequences: list[Sequence], scorable: bool, json_path: str | None, plots: Path | None) -> None:
    """Refuse outputs that could not be written, before work that may take an hour."""
    if not scorable and (json_path is not None or plots is not None):
        raise InputError("some sequences have no ground truth: there is nothing to score for --json or --plots")
    outputs: dict[str, Path | str | None] = {"--json": json_path}
    if plots is not None:
        from model.evaluation.plots import FILES, check_matplotlib

        check_matplotlib()
        check_folder("--plots", plots)
        if plots.is_dir():
            outputs |= {f"--plots {name}": plots / name for name in (*FILES, _PAGE)}
    check_outputs(outputs, (file for sequence in sequences for file in (*sequence.truth_files, *sequence.frames)))


def _rivals(names: str | None, ours: str) -> dict[str, Callable[[], Follower]]:
    """Makers of the trackers of `--compare`. Raises InputError for a repeated name, ModelError for an unknown one."""
    if names is None:
        return {}
    from model.evaluation.opencv import OpenCVFollower

    chosen = [each.strip().lower() for each in names.split(",")]
    if len({*chosen, ours}) <= len(chosen) or "" in chosen:
        raise InputError(f"--compare takes different names with commas between them, not {names!r}")
    makers: dict[str, Callable[[], Follower]] = {}
    for each in chosen:
        OpenCVFollower(each)
        makers[each] = lambda each=each: OpenCVFollower(each)  # type: ignore[misc]
    return makers


def _run(sequences: list[Sequence], make_follower: Callable[[], Follower], name: str) -> Report:
    from model.evaluation import one_pass

    finished = {sequence.name: 0 for sequence in sequences}
    skipped = {sequence.name: sequence.first for sequence in sequences}
    total = sum(len(sequence.frames) - sequence.first for sequence in sequences)
    with progress(f"evaluating {name}", total) as report_progress:

        def on_frame(sequence: str, done: int, _: int) -> None:
            finished[sequence] = done - skipped[sequence]
            report_progress(sum(finished.values()), f"{name}: {sequence}")

        return one_pass.evaluate(sequences, make_follower, on_frame)


def _write_results(reports: dict[str, Report], folder: Path) -> None:
    from model.evaluation.got10k import write_results

    try:
        for each, report in reports.items():
            write_results(report, folder, each)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from error


def _write_plots(reports: dict[str, Report], name: str, folder: Path) -> None:
    from model.evaluation.page import write_page
    from model.evaluation.plots import write_plots

    others = {each: report for each, report in reports.items() if each != name}
    try:
        paths = write_plots(reports[name], folder, name, others)
        write_page(folder / _PAGE, reports[name], paths, name, others)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from error


def _show(reports: dict[str, Report], name: str, json_path: str | None, boxes: bool) -> None:
    others = {each: report for each, report in reports.items() if each != name}
    if json_path is None:
        click.echo(reports[name].table())
        for each, report in others.items():
            click.echo(f"\n{each}\n{report.table()}")
        return
    content: dict[str, Any] = reports[name].as_json(boxes=boxes)
    if others:
        content["compare"] = {each: report.as_json(boxes=boxes) for each, report in others.items()}
    text = json.dumps(content, indent=2)
    if json_path == STDOUT:
        click.echo(text)
    else:
        save_text(Path(json_path), text + "\n")


class ServerFollower:
    """A `model.evaluation.one_pass.Follower` through a server; image files are sent as they are."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._session: Session | None = None

    def start(self, frame: Path, box: Box) -> None:
        """Start a session on the image file and box. Raises ClientError."""
        self._session = self._client.start(frame, box.as_list())

    def update(self, frame: Path) -> Found:
        """The target in the next image file. Raises InputError, naming a file that the server refuses."""
        from model.boxes import Box
        from model.evaluation.one_pass import Found
        from siamfc import FrameError

        assert self._session is not None, "update before start"
        try:
            target = self._session.update(frame).target
        except FrameError as error:
            raise InputError(f"{frame}: {error.problem}") from error
        return Found(Box(*target.box), target.score)

    def __enter__(self) -> ServerFollower:
        return self

    def __exit__(self, *details: object) -> None:
        if self._session is not None:
            self._session.__exit__(*details)  # type: ignore[arg-type]


def _in_process(
    weights: Path | None, device: str | None, runtime: str | None, precision: str | None
) -> Callable[[], Follower]:
    predictor = make_predictor(weights, device, runtime, precision)
    with needs_extra("server", "evaluating in this process (without --server)"):
        from model.evaluation.in_process import InProcessFollower
    return lambda: InProcessFollower(predictor)
