"""`siamfc tune`: choose the tracker's constants on training clips."""

from __future__ import annotations

import dataclasses
import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from siamfc.cli.failures import InputError, needs_extra
from siamfc.cli.options import make_predictor, network_options
from siamfc.cli.outputs import check_outputs, save_text

if TYPE_CHECKING:
    from model.tuning.tune import Tuning


@click.command()
@click.option(
    "--corpus",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Training corpus, as siamfc train takes it.",
)
@click.option(
    "--out", metavar="OUT.json", type=click.Path(dir_okay=False, path_type=Path), help="Write the results as JSON."
)
@click.option(
    "--save",
    metavar="F.safetensors",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the weights with the chosen constants.",
)
@click.option("--minutes", type=float, default=30.0, show_default=True, help="Time limit, wall clock.")
@click.option("--trials", type=int, default=200, show_default=True, help="Most candidates to try.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the clips and the first candidates.")
@click.option("--frames", type=int, default=20, show_default=True, help="Frames per clip.")
@click.option("--clips-per-source", type=int, default=8, show_default=True, help="Most clips per source.")
@network_options
def tune(
    corpus: Path,
    out: Path | None,
    save: Path | None,
    weights: Path | None,
    device: str | None,
    runtime: str | None,
    precision: str | None,
    **amount: Any,
) -> None:
    """Choose the tracker's constants on a training corpus.

    Searches scale penalty, window influence, scale damping, scale step and scale interpolation for the best mean
    overlap, balanced by source. Checks the best constants on clips that the search has not seen. Refuses a folder of
    evaluation sequences.
    """
    with needs_extra("train", "tuning"):
        from model.data.clips import refuse_evaluation_layout
        from model.data.corpus import Corpus
        from model.tuning.tune import TuningConfig
        from model.tuning.tune import tune as search
    config = TuningConfig.from_dict(amount)
    refuse_evaluation_layout(corpus)
    given = [] if weights is None else [weights]
    check_outputs({"--out": out, "--save": save}, chain(given, corpus.rglob("*")))
    if save is not None and save.suffix != ".safetensors":
        raise InputError(f"{save}: the file to write must end in .safetensors")
    predictor = make_predictor(weights, device, runtime, precision)
    found = search(predictor, Corpus(corpus), config, lambda line: click.echo(f"siamfc tune: {line}", err=True))
    click.echo(_table(found))
    if out is not None:
        content = {**_as_json(found), "config": dataclasses.asdict(config), "weights": predictor.weights.sha256}
        save_text(out, json.dumps(content, indent=2) + "\n")
    if save is not None:
        from model.checkpoints import save_weights

        save_weights(save, dataclasses.replace(predictor.weights, constants=found.constants))


def _as_json(found: Tuning) -> dict[str, Any]:
    return {
        "tracker": dataclasses.asdict(found.constants),
        "improved": found.improved,
        "search": {"present": found.present.ao, "best": found.best.ao},
        "check": {"present": found.check_present, "best": found.check_best},
        "trials": [{"ao": trial.ao, **_searched(trial.constants)} for trial in found.trials],
        "dropped": found.dropped,
    }


def _table(found: Tuning, rows: int = 10) -> str:
    """The best trials, the present constants, and the result of the check, as text."""
    shown = list(found.trials[:rows])
    if found.present not in shown:
        shown.append(found.present)
    names = list(_searched(found.constants))
    lines = ["  ".join(["    AO", *names])]
    for trial in shown:
        values = (f"{value:{len(name)}.4f}" for name, value in _searched(trial.constants).items())
        lines.append("  ".join([f"{trial.ao:6.4f}", *values, *(["present"] if trial == found.present else [])]))
    lines.append(f"{len(found.trials)} candidates followed to the end, {found.dropped} fell behind")
    lines.append(f"on the check's clips: present {found.check_present:.4f}, best {found.check_best:.4f}")
    lines.append("chosen: " + ("the best" if found.improved else "the present constants"))
    return "\n".join(lines)


def _searched(constants: Any) -> dict[str, float]:
    from model.tuning.tune import searched

    return {name: getattr(constants, name) for name in searched(constants)}
