"""The program `siamfc`: its commands, and what becomes of what they raise."""

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
from siamfc.cli.failures import INTERRUPTED, Failure
from siamfc.cli.track import track
from siamfc.cli.train import train
from siamfc.cli.tune import tune

COMMANDS = "siamfc.commands"
"""The entry points' group in which other packages offer commands: `service` offers `serve`."""


class Program(click.Group):
    """A group whose every failure is one line on stderr and an exit status; a traceback only with --debug."""

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
                # Python would complain once more while flushing at exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise Failure("whoever read stdout has gone") from error
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
@click.option("--debug", is_flag=True, help="Show tracebacks (also SIAMFC_DEBUG=1).")
@click.pass_context
def program(ctx: click.Context, debug: bool) -> None:
    """Follow objects through video: serve, track, evaluate, train.

    Exit status: 0 done; 2 wrong usage or input, with one line on stderr; 1 anything else.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for _command in (track, evaluate, train, tune, convert, bench):
    program.add_command(_command)
for _entry in entry_points(group=COMMANDS):
    program.add_command(_entry.load(), _entry.name)


def main() -> NoReturn:
    """The console script. Exits with the status."""
    program.main(prog_name="siamfc")
    raise AssertionError("a click program exits")
