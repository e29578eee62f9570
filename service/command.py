"""`siamfc serve`, which the package `siamfc` finds by its entry point."""

from __future__ import annotations

from pathlib import Path

import click

from siamfc.cli.failures import InputError, needs_extra


@click.command()
@click.option("--host", metavar="H", help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", metavar="P", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--device", metavar="D", help="Device: auto, cpu, cuda or cuda:N.")
@click.option("--runtime", metavar="R", help="Runtime: auto, torch or openvino.")
@click.option("--precision", metavar="P", help="Arithmetic: auto, fp32, bf16, fp16 or int8.")
@click.option(
    "--weights",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Weights file, or the name of bundled weights: swift, paper, light, baseline.",
)
@click.option("--workers", metavar="N", type=click.IntRange(1, 64), help="Server processes; more than 1 need Redis.")
@click.option("--log-format", type=click.Choice(["console", "json"]), help="Format of log lines.")
@click.pass_context
def serve(ctx: click.Context, /, **options: object) -> None:
    """Run the server.

    Environment variables set the other options and further settings: SIAMFC_HOST and so on, as in the README.
    """
    with needs_extra("server", "the server"):
        from service.settings import SettingsError, load_settings
        from service.workers import run
    try:
        settings = load_settings(**{name: value for name, value in options.items() if value is not None})
    except SettingsError as error:
        raise InputError(str(error)) from error
    with needs_extra("server", "the server"):
        # It imports what it needs when it is called.
        status = run(settings)
    ctx.exit(status)
