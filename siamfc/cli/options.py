"""Options that several commands share."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from siamfc.cli.failures import InputError, needs_extra

if TYPE_CHECKING:
    from model.inference.predictor import Predictor
    from siamfc import Client

TIMEOUT_S = 5.0
"""How long a stream may be silent."""

LONGEST_NAME = 64
"""Characters of a target's name; the server takes no more."""

_REMEMBER, _OFF = "SIAMFC_REMEMBER", frozenset({"false", "0", "no", "off", "n", "f"})
"""The server's setting of that name, and its values that are no."""

_NUMBERS_APART = re.compile(r"\s*,\s*|\s+")

Command = TypeVar("Command", bound=Callable[..., Any])


class BoxType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """`x,y,w,h`: four finite numbers, pixels of the first frame, 0-indexed; in brackets, and with spaces, too."""

    name = "x,y,w,h"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float, float]:
        if isinstance(value, tuple):
            return value
        try:
            x, y, w, h = (float(part) for part in _NUMBERS_APART.split(_inside(str(value))))
        except ValueError:
            self.fail(f"{value!r} is not four numbers x,y,w,h", param, ctx)
        if not all(map(math.isfinite, (x, y, w, h))):
            self.fail(f"{value!r} is not finite", param, ctx)
        if w < 1 or h < 1:
            from model.boxes import too_small

            self.fail(too_small(x, y, w, h), param, ctx)
        return x, y, w, h


class NamedBoxType(BoxType):
    """`[NAME=]x,y,w,h`, as (name, box); without a name, or with a blank one, the name is ""."""

    name = "[NAME=]x,y,w,h"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        name, _, box = str(value).rpartition("=")
        name = name.strip()
        if len(name) > LONGEST_NAME or not name.isprintable():
            self.fail(f"{name!r} is no name: up to {LONGEST_NAME} printable characters", param, ctx)
        return name, super().convert(box, param, ctx)


def by_name(boxes: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Boxes by their names; one without a name is called by its place, from "0". Raises UsageError for a name twice."""
    named: dict[str, Any] = {}
    for place, (given, box) in enumerate(boxes):
        name = given or str(place)
        if name in named:
            raise click.UsageError(f"two boxes are called {name!r}")
        named[name] = box
    return named


def _inside(text: str) -> str:
    """The text without spaces around it and one pair of brackets, as JSON and Python write a box."""
    text = text.strip()
    for pair in ("[]", "()"):
        if text.startswith(pair[0]) and text.endswith(pair[1]):
            return text[1:-1].strip()
    return text


class WeightsPath(click.Path):
    """An existing file, or the name of bundled weights: a bare word, which loading looks up."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return Path(value) if re.fullmatch(r"\w+", str(value)) else super().convert(value, param, ctx)


def network_options(command: Command) -> Command:
    """Add --weights, --device, --runtime and --precision, for a network in this process."""
    for decorate in (
        click.option("--precision", metavar="P", help="Arithmetic: auto, fp32, bf16, fp16 or int8.  [default: auto]"),
        click.option("--runtime", metavar="R", help="Runtime: auto, torch or openvino.  [default: auto]"),
        click.option("--device", metavar="D", help="Device: auto, cpu, cuda or cuda:N.  [default: auto]"),
        click.option(
            "--weights",
            type=WeightsPath(),
            help="Weights file, or the name of bundled weights: swift (default), paper, light, baseline.",
        ),
    ):
        command = decorate(command)
    return command


def server_options(command: Command) -> Command:
    """Add --server and --api-key, for a network behind a server."""
    for decorate in (
        click.option("--api-key", metavar="KEY", help="The server's API key."),
        click.option("--server", metavar="URL", help="Use the network of this server, such as http://localhost:8000."),
    ):
        command = decorate(command)
    return command


def refuse_both(server: str | None, **given: object) -> None:
    """Refuse options of the network in this process together with --server, and --api-key without it."""
    for name, value in given.items():
        option = "--" + name.replace("_", "-")
        if name == "api_key" and value is not None and server is None:
            raise click.UsageError(f"{option} goes with --server")
        if name != "api_key" and value is not None and server is not None:
            raise click.UsageError(f"{option} does not go with --server: the server has its own")


def make_client(server: str, api_key: str | None) -> Client:
    """The client of `--server`. Raises InputError for an address that is none."""
    from siamfc import Client

    try:
        return Client(server, api_key)
    except ValueError as error:
        raise InputError(str(error)) from error


def make_predictor(weights: Path | None, device: str | None, runtime: str | None, precision: str | None) -> Predictor:
    """The network of `--weights`, ready to run in this process. Raises InputError where the extra is missing."""
    with needs_extra("server", "tracking in this process (without --server)"):
        from model.checkpoints import find_weights, load_weights
        from model.images import decode  # noqa: F401 - fail here, not at the first frame
        from model.inference.loading import load_predictor
        from model.inference.remembered import RememberedChoices
    return load_predictor(
        load_weights(find_weights(weights)),
        device=device or "auto",
        runtime=runtime or "auto",
        precision=precision or "auto",
        remembered=RememberedChoices.of_user() if os.environ.get(_REMEMBER, "").lower() not in _OFF else None,
    )
