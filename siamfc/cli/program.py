"""The program `siamfc`: its commands, and how it reports their errors."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any, NoReturn

import click

from siamfc.cli.bench import bench
from siamfc.cli.convert import convert
from siamfc.cli.evaluate import evaluate
from siamfc.cli.export import export
from siamfc.cli.failures import INTERRUPTED, Failure
from siamfc.cli.track import track
from siamfc.cli.train import train
from siamfc.cli.trax import trax
from siamfc.cli.tune import tune

COMMANDS = "siamfc.commands"
"""The entry points' group in which other packages offer commands: `service` offers `serve`."""


class Program(click.Group):
    """A group of commands that reports any failure as one line on stderr and an exit status.

    With --debug it prints the traceback too.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except (click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            if _debug(ctx):
                traceback.print_exc()
            if isinstance(error, BrokenPipeError):
                # Python flushes stdout at exit, and would report the same error again.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise Failure("the reader of stdout has gone") from error
            if isinstance(error, click.ClickException):
                raise
            raise Failure.of(error) from error
        return result

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        sys.exit(self._status(args, prog_name, complete_var, **extra))

    def _status(self, args: Sequence[str] | None, prog_name: str | None, complete_var: str | None, **extra: Any) -> int:
        try:
            result = super().main(args, prog_name, complete_var, False, **extra)
        except click.ClickException as error:
            context = getattr(error, "ctx", None)
            name = context.command_path if context is not None else "siamfc"
            click.echo(f"{name}: {' '.join(error.format_message().split())}", err=True)
            return error.status if isinstance(error, Failure) else 2
        except click.Abort:
            return INTERRUPTED
        return result if isinstance(result, int) else 0


def _debug(ctx: click.Context) -> bool:
    return bool(ctx.params.get("debug")) or os.environ.get("SIAMFC_DEBUG", "") not in ("", "0")


def _version() -> str:
    try:
        return version("siamfc-service")
    except PackageNotFoundError:
        return "not installed"


@click.group(cls=Program, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="siamfc")
@click.option("--debug", is_flag=True, help="Print tracebacks (also SIAMFC_DEBUG=1).")
@click.pass_context
def program(ctx: click.Context, debug: bool) -> None:
    """Track objects through video: serve, track, evaluate, train.

    The exit status is 0 for success, 2 for wrong usage or input, 130 for an interrupt and 1 for any other failure. A
    failure prints one line on stderr.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for _command in (track, evaluate, train, tune, convert, export, trax, bench):
    program.add_command(_command)
for _entry in entry_points(group=COMMANDS):
    program.add_command(_entry.load(), _entry.name)


def main() -> NoReturn:
    """The console script. Exits with the program's status."""
    program.main(prog_name="siamfc")
    raise AssertionError("a click program exits")
