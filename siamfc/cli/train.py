"""`siamfc train`: train a network on a corpus."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from siamfc.cli.failures import INTERRUPTED, needs_extra
from siamfc.cli.options import WeightsPath
from siamfc.cli.outputs import check_outputs
from siamfc.cli.progress import progress

if TYPE_CHECKING:
    from model.training.config import TrainingConfig
    from model.training.run import Progress
    from model.training.validation import Validation


@click.command()
@click.option(
    "--corpus",
    "corpora",
    required=True,
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Corpus: shards and indexes, ImageNet-VID or GOT-10k. May be repeated.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the run: checkpoints and logs.",
)
@click.option("--recipe", metavar="NAME", help="Bundled recipe: default, reference, baseline, …  [default: default]")
@click.option(
    "--config",
    "config_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Configuration as TOML, instead of a recipe.",
)
@click.option("--resume", is_flag=True, help="Continue from the last checkpoint in --out.")
@click.option("--init", type=WeightsPath(), help="Initial weights: a file, or the name of bundled weights.")
@click.option("--teacher", type=WeightsPath(), help="Weights of the teacher: a file, or the name of bundled weights.")
@click.option(
    "--trunk",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="State dict of EfficientNet-Lite0, for the beginning of a network with a trunk.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Number of steps, instead of the configuration's.")
@click.option("--device", metavar="D", help="Device: auto, cpu, cuda or cuda:N.  [default: auto]")
@click.pass_context
def train(
    ctx: click.Context,
    /,
    corpora: tuple[Path, ...],
    out: Path,
    recipe: str | None,
    config_path: Path | None,
    resume: bool,
    init: Path | None,
    teacher: Path | None,
    trunk: Path | None,
    steps: int | None,
    device: str | None,
) -> None:
    """Train a network.

    Trains on one corpus or several, by a bundled recipe or a TOML file, and on a GPU if there is one.

    Ctrl-C keeps the last checkpoint; --resume continues from it.
    """
    if recipe is not None and config_path is not None:
        raise click.UsageError("--recipe and --config exclude each other")
    with needs_extra("train", "training"):
        from model.training import run
    config = _config(recipe, config_path, steps, init=init, teacher=teacher, trunk=trunk)
    if out.is_dir():
        given = [config_path, *(Path(name) for name in (config.init, config.teacher, config.trunk) if name)]
        outputs = {f"--out {name}": out / name for name in (run.CHECKPOINT, run.LOG, run.WEIGHTS)}
        check_outputs(outputs, [path for path in given if path is not None])
    with progress("training", config.steps) as report:
        shown = ""

        def on_progress(now: Progress) -> None:
            text = f"loss {now.loss:.3f}, {now.error_px:.1f} px, {now.pairs_per_s:.0f} pairs/s"
            report(now.step, text + shown)

        def on_validation(now: Validation) -> None:
            nonlocal shown
            shown = f", held out {now.error_px:.1f} px"
            overlap = "" if now.overlap is None else f", overlap {now.overlap:.3f}"
            click.echo(f"step {now.step}: held out: {now.error_px:.2f} px, ROC AUC {now.auc:.4f}{overlap}", err=True)

        listener = run.Listener(on_progress, on_validation, _say_skipped)
        finished = run.train(config, corpora, out, resume=resume, device=device or "auto", listener=listener)
    if not finished:
        click.echo(f"siamfc train: interrupted; --resume continues from {out}", err=True)
        ctx.exit(INTERRUPTED)


def _say_skipped(reasons: Sequence[str]) -> None:
    click.echo(f"siamfc train: skipped {len(reasons)} clips, the first of them {reasons[0]}", err=True)


def _config(
    name: str | None,
    path: Path | None,
    steps: int | None,
    *,
    init: Path | None,
    teacher: Path | None,
    trunk: Path | None,
) -> TrainingConfig:
    from model.training.config import TrainingConfig, recipe

    config = TrainingConfig.from_toml(path) if path is not None else recipe(name or "default")
    if init is not None:
        config = dataclasses.replace(config, init=str(init))
    if teacher is not None:
        config = dataclasses.replace(config, teacher=str(teacher))
    if trunk is not None:
        config = dataclasses.replace(config, trunk=str(trunk))
    if steps is None:
        return config
    return dataclasses.replace(config, steps=steps, decay_steps=min(config.decay_steps, steps))
