"""`siamfc export`: weights as ONNX networks."""

from __future__ import annotations

from pathlib import Path

import click

from siamfc.cli.failures import InputError, needs_extra
from siamfc.cli.outputs import check_outputs


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path))
@click.option("--weights", metavar="FILE", type=click.Path(path_type=Path), help="A weights file, or bundled weights.")
def export(folder: Path, weights: Path | None) -> None:
    """Write weights as ONNX into FOLDER.

    exemplar.onnx embeds a target once, search.onnx answers later frames, siamfc.json holds the tracker's numbers.
    docs/export.md says how to use them. FOLDER is made where there is none; files of an earlier export are replaced.
    """
    if not folder.parent.is_dir():
        raise InputError(f"{folder}: there is no folder {folder.parent}")
    with needs_extra("export", "exporting weights"):
        import onnx  # noqa: F401 - the exporter's own message names no extra
        import onnxscript  # noqa: F401

        from model.checkpoints import find_weights, load_weights
        from model.export import EXEMPLAR, NUMBERS, SEARCH, export_onnx
    source = find_weights(weights)
    if folder.is_dir():
        check_outputs({name: folder / name for name in (EXEMPLAR, SEARCH, NUMBERS)}, [source])
    loaded = load_weights(source)
    folder.mkdir(exist_ok=True)
    for path in export_onnx(loaded, folder):
        click.echo(path)
