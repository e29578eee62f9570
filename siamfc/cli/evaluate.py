"""`siamfc eval`: one-pass evaluation on a folder of sequences."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from siamfc.cli.evaluating import Outcome, ServerFollower, evaluate_all, listed
from siamfc.cli.failures import InputError, needs_extra
from siamfc.cli.options import make_client, make_predictor, network_options, refuse_both, server_options
from siamfc.cli.outputs import STDOUT, check_folder, check_outputs, save_text
from siamfc.cli.rivals import Rivals, rival_options

if TYPE_CHECKING:
    from model.data.sequences import Sequence
    from model.evaluation.one_pass import Follower, Report

_PAGE = "report.html"


@dataclass(frozen=True, slots=True)
class _Outputs:
    """What is asked for: JSON (None: a table), with or without boxes, plots, result files, under the tracker's name."""

    json_path: str | None
    boxes: bool
    plots: Path | None
    got10k: Path | None
    name: str


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
@rival_options
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
    **model_files: Path | None,
) -> None:
    """Evaluate a tracker on sequences with ground truth.

    Tracks every sequence once from its first box, without a restart (one-pass evaluation). Prints a table, or JSON with
    --json. DIR holds NAME/{img,groundtruth.txt}, or has the layout of OTB or GOT-10k.
    """
    refuse_both(server, weights=weights, device=device, runtime=runtime, precision=precision, api_key=api_key)
    outputs = _Outputs(json_path, boxes, plots, got10k, name)
    failed: dict[str, str] = {}
    sequences = _surveyed(folder, got10k is not None, failed)
    rivals = Rivals.chosen(compare, name, **model_files)
    _refuse_early(sequences, outputs, rivals.files)
    with ExitStack() as stack:
        make_follower: Callable[[], Follower]
        if server is not None:
            client = stack.enter_context(make_client(server, api_key))
            make_follower = lambda: stack.enter_context(ServerFollower(client))  # noqa: E731
        else:
            make_follower = _in_process(weights, device, runtime, precision)
        outcome = evaluate_all(sequences, {name: make_follower, **rivals.makers})
    failed |= outcome.failed
    if outcome.reports[name].runs:
        _report(outcome.reports, outputs, failed)
    _raise(outcome, failed)


def _surveyed(folder: Path, unscored: bool, failed: dict[str, str]) -> list[Sequence]:
    """The folder's sequences that can be followed; says which show nothing, and notes in `failed` which are faulty."""
    from model.data.sequences import survey

    found = survey(folder, unscored=unscored)
    failed |= found.faulty
    if found.absent:
        click.echo(f"siamfc eval: skipped {len(found.absent)} sequences: {listed(found.absent)}", err=True)
    if not found.sequences:
        raise InputError(listed(failed) or f"{folder}: no sequence is left to follow")
    return list(found.sequences)


def _report(reports: dict[str, Report], outputs: _Outputs, failed: dict[str, str]) -> None:
    """Write and print what was asked for, of the sequences that were followed to their end."""
    ours = reports[outputs.name]
    if outputs.got10k is not None:
        _write_results(reports, outputs.got10k)
    if not all(run.sequence.scorable for run in ours.runs):
        click.echo(f"tracked {len(ours.runs)} sequences; without ground truth there is nothing to score")
        return
    if outputs.plots is not None:
        _write_plots(reports, outputs.name, outputs.plots)
    _show(reports, outputs, failed)


def _raise(outcome: Outcome, failed: dict[str, str]) -> None:
    """What is left to say once what was done is written: the sequences that are missing, and what ended the work."""
    if outcome.stopped is not None:
        click.echo("siamfc eval: ended before its end; the report has the sequences that were finished", err=True)
        raise outcome.stopped
    if failed:
        raise InputError(f"{len(failed)} sequences could not be followed: {listed(failed)}")


def _refuse_early(sequences: list[Sequence], wanted: _Outputs, inputs: Iterable[Path]) -> None:
    """Refuse outputs that could not be written, before work that may take an hour."""
    scorable = all(sequence.scorable for sequence in sequences)
    if not scorable and (wanted.json_path is not None or wanted.plots is not None):
        raise InputError("some sequences have no ground truth: there is nothing to score for --json or --plots")
    check_folder("--got10k", wanted.got10k)
    if wanted.got10k is not None:
        from model.evaluation.got10k import check_name

        check_name(wanted.name)
    outputs: dict[str, Path | str | None] = {"--json": wanted.json_path}
    if wanted.plots is not None:
        from model.evaluation.plots import FILES, check_matplotlib

        check_matplotlib()
        check_folder("--plots", wanted.plots)
        if wanted.plots.is_dir():
            outputs |= {f"--plots {name}": wanted.plots / name for name in (*FILES, _PAGE)}
    files = (file for sequence in sequences for file in (*sequence.truth_files, *sequence.frames))
    check_outputs(outputs, chain(inputs, files))


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


def _show(reports: dict[str, Report], outputs: _Outputs, failed: dict[str, str]) -> None:
    name, json_path = outputs.name, outputs.json_path
    others = {each: report for each, report in reports.items() if each != name}
    if json_path is None:
        click.echo(reports[name].table())
        for each, report in others.items():
            click.echo(f"\n{each}\n{report.table()}")
        return
    content: dict[str, Any] = reports[name].as_json(boxes=outputs.boxes)
    if failed:
        content["failed"] = failed
    if others:
        content["compare"] = {each: report.as_json(boxes=outputs.boxes) for each, report in others.items()}
    text = json.dumps(content, indent=2)
    if json_path == STDOUT:
        click.echo(text)
    else:
        save_text(Path(json_path), text + "\n")


def _in_process(
    weights: Path | None, device: str | None, runtime: str | None, precision: str | None
) -> Callable[[], Follower]:
    predictor = make_predictor(weights, device, runtime, precision)
    with needs_extra("server", "evaluating in this process (without --server)"):
        from model.evaluation.in_process import InProcessFollower
    return lambda: InProcessFollower(predictor)
