"""`siamfc convert`: public SiamFC checkpoints to ours."""

from __future__ import annotations

from pathlib import Path

import click

from service.cli.failures import InputError, needs_extra


@click.command()
@click.argument("source", metavar="IN", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", metavar="OUT.safetensors", type=click.Path(dir_okay=False, path_type=Path))
def convert(source: Path, out: Path) -> None:
    """Convert a public SiamFC checkpoint.

    IN: a checkpoint of rafellerc/Pytorch-SiamFC or of huanglianghua/siamfc-pytorch. Nothing in it is executed.
    """
    if out.suffix != ".safetensors":
        raise InputError(f"{out}: the file to write must end in .safetensors")
    if not out.parent.is_dir():
        raise InputError(f"{out}: there is no folder {out.parent}")
    with needs_extra("train", "converting weights"):
        import torch

        from model import convert as conversion
        from model.checkpoints import save_weights
    weights = conversion.convert(source)
    # As exact as the source: a conversion is no place to round.
    save_weights(out, weights, dtype=torch.float32)
    click.echo(f"{out}: {weights.network.config.name}, from {weights.training.get('converted_from', source)}")
