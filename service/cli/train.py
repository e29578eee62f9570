"""`siamfc train`: training a network on a corpus."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.failures import INTERRUPTED, needs_extra
from service.cli.progress import progress

if TYPE_CHECKING:
    from model.training.config import TrainingConfig
    from model.training.run import Progress


@click.command()
@click.option("--corpus", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where the run is kept.")
@click.option("--config", "config_path", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
@click.option("--steps", type=click.IntRange(min=1), help="Steps, instead of the configuration's.")
@click.option("--device", metavar="D", help="auto, cpu, cuda or cuda:N.  [default: auto]")
@click.pass_context
def train(
    ctx: click.Context,
    /,
    corpus: Path,
    out: Path,
    config_path: Path | None,
    resume: bool,
    steps: int | None,
    device: str | None,
) -> None:
    """Train a network.

    On a corpus of tar shards and their indexes, on a GPU where there is one.

    Ctrl-C keeps the last checkpoint; --resume goes on from it.
    """
    with needs_extra("train", "training"):
        from model.training import run
    config = _config(config_path, steps)
    with progress("training", config.steps) as report:

        def on_progress(now: Progress) -> None:
            report(now.step, f"loss {now.loss:.3f}, {now.error_px:.1f} px, {now.pairs_per_s:.0f} pairs/s")

        finished = run.train(config, corpus, out, resume=resume, device=device or "auto", on_progress=on_progress)
    if not finished:
        click.echo(f"siamfc train: interrupted; --resume goes on from {out}", err=True)
        ctx.exit(INTERRUPTED)


def _config(path: Path | None, steps: int | None) -> TrainingConfig:
    from model.training.config import TrainingConfig

    config = TrainingConfig() if path is None else TrainingConfig.from_toml(path)
    if steps is None:
        return config
    return dataclasses.replace(config, steps=steps, decay_steps=min(config.decay_steps, steps))
