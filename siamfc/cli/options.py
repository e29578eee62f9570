"""Options that several commands share."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from siamfc.cli.failures import InputError, needs_extra

if TYPE_CHECKING:
    from model.inference import Predictor
    from siamfc import Client

TIMEOUT_S = 5.0
"""How long a stream may be silent."""

Command = TypeVar("Command", bound=Callable[..., Any])


class BoxType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """`x,y,w,h`: four finite numbers, pixels of the first frame, 0-indexed."""

    name = "x,y,w,h"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float, float]:
        if isinstance(value, tuple):
            return value
        try:
            x, y, w, h = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not four numbers x,y,w,h", param, ctx)
        if not all(map(math.isfinite, (x, y, w, h))):
            self.fail(f"{value!r} is not finite", param, ctx)
        if w < 1 or h < 1:
            self.fail(f"a box must be at least 1 pixel wide and high; got {w:g} x {h:g}", param, ctx)
        return x, y, w, h


class WeightsPath(click.Path):
    """A file that is there, or a bare word: the name of weights that ship, which loading looks up."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return Path(value) if re.fullmatch(r"\w+", str(value)) else super().convert(value, param, ctx)


def network_options(command: Command) -> Command:
    """--weights, --device, --runtime and --precision: the network in this process."""
    for decorate in (
        click.option("--precision", metavar="P", help="auto, fp32, bf16, fp16 or int8 (in process).  [default: auto]"),
        click.option("--runtime", metavar="R", help="auto, torch or openvino (in process).  [default: auto]"),
        click.option("--device", metavar="D", help="auto, cpu, cuda or cuda:N (in process).  [default: auto]"),
        click.option(
            "--weights",
            type=WeightsPath(),
            help="A weights file, or bundled weights by name: paper (default), light, baseline (in process).",
        ),
    ):
        command = decorate(command)
    return command


def server_options(command: Command) -> Command:
    """--server and --api-key: the network behind a server."""
    for decorate in (
        click.option("--api-key", metavar="KEY", help="The server's API key."),
        click.option("--server", metavar="URL", help="Work through this server, such as http://localhost:8000."),
    ):
        command = decorate(command)
    return command


def refuse_both(server: str | None, **given: object) -> None:
    """The network is either here or there: refuse options of the one with the other."""
    for name, value in given.items():
        option = "--" + name.replace("_", "-")
        if name == "api_key" and value is not None and server is None:
            raise click.UsageError(f"{option} goes with --server")
        if name != "api_key" and value is not None and server is not None:
            raise click.UsageError(f"{option} does not go with --server, which has its own")


def make_client(server: str, api_key: str | None) -> Client:
    """The client of `--server`."""
    from siamfc import Client

    try:
        return Client(server, api_key)
    except ValueError as error:
        raise InputError(str(error)) from error


def make_predictor(weights: Path | None, device: str | None, runtime: str | None, precision: str | None) -> Predictor:
    """The network of `--weights`, ready to run in this process."""
    with needs_extra("server", "tracking in this process (without --server)"):
        from model.checkpoints import find_weights, load_weights
        from model.images import decode  # noqa: F401 - say now, not at the first frame, that it cannot be imported
        from model.inference import Predictor
    return Predictor(
        load_weights(find_weights(weights)),
        device=device or "auto",
        runtime=runtime or "auto",
        precision=precision or "auto",
    )
