"""`siamfc serve`: the server."""

from __future__ import annotations

from pathlib import Path

import click

from siamfc.cli.failures import InputError, needs_extra


@click.command()
@click.option("--host", metavar="H", help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", metavar="P", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--device", metavar="D", help="auto, cpu, cuda or cuda:N.")
@click.option("--runtime", metavar="R", help="auto, torch or openvino.")
@click.option("--precision", metavar="P", help="auto, fp32, bf16, fp16 or int8.")
@click.option("--weights", type=click.Path(dir_okay=False, path_type=Path), help="A weights file, or paper or light.")
@click.option("--log-format", type=click.Choice(["console", "json"]), help="How log lines look.")
@click.pass_context
def serve(ctx: click.Context, /, **options: object) -> None:
    """Run the server.

    What is not given here comes from the environment, SIAMFC_HOST and so on, where there are further settings.
    """
    with needs_extra("server", "the server"):
        from service.serve import run
        from service.settings import SettingsError, load_settings
    try:
        settings = load_settings(**{name: value for name, value in options.items() if value is not None})
    except SettingsError as error:
        raise InputError(str(error)) from error
    ctx.exit(run(settings))
