"""`siamfc convert`: convert a public SiamFC checkpoint."""

from __future__ import annotations

from pathlib import Path

import click

from siamfc.cli.failures import InputError, needs_extra
from siamfc.cli.outputs import check_outputs


@click.command()
@click.argument("source", metavar="IN", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", metavar="OUT.safetensors", type=click.Path(dir_okay=False, path_type=Path))
def convert(source: Path, out: Path) -> None:
    """Convert a public SiamFC checkpoint.

    IN is a checkpoint of rafellerc/Pytorch-SiamFC or huanglianghua/siamfc-pytorch. Nothing in it is executed.
    """
    if out.suffix != ".safetensors":
        raise InputError(f"{out}: the file to write must end in .safetensors")
    check_outputs({"OUT": out}, [source])
    with needs_extra("train", "converting weights"):
        from model.convert import convert_file
    weights = convert_file(source, out)
    click.echo(f"{out}: {weights.network.config.name}, from {weights.training.get('converted_from', source)}")
