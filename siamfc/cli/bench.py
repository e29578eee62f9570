"""`siamfc bench`: the benchmarks of a checkout, which an installed package does not contain.

A benchmark is a file `benchmarks/NAME.py` with a docstring and `run(...) -> dict`, whose values are plain JSON. The
keyword arguments of `run` are the benchmark's options; their annotations say which values they take.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import click

from siamfc.cli.failures import InputError
from siamfc.cli.outputs import check_outputs, save_text

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
"""The checkout, where the package is run from one."""

_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@click.command()
@click.argument("what", required=False)
@click.option(
    "--json", "json_path", metavar="OUT", type=click.Path(dir_okay=False, path_type=Path), help="A JSON file to write."
)
@click.option("--list", "only_list", is_flag=True, help="List the benchmarks, or the options of WHAT.")
@click.option("-o", "given", metavar="KEY=VALUE", multiple=True, help="An option of the benchmark; may be repeated.")
@click.option("--save", is_flag=True, help="Write JSON, a table and a plot, dated, to benchmarks/results.")
def bench(what: str | None, json_path: Path | None, only_list: bool, given: tuple[str, ...], save: bool) -> None:
    """Run the benchmarks of a checkout.

    Runs the benchmark WHAT, or all of them, and prints the results as JSON. Benchmarks are part of the repository, not
    of the installed package: run this command in the root of a checkout.
    """
    root = checkout()
    names = available(root / "benchmarks")
    if what is not None and what not in names:
        raise InputError(f"no benchmark {what!r}; there are {', '.join(names)}")
    if given and what is None:
        raise click.UsageError("-o goes with the name of a benchmark")
    wanted = names if what is None else [what]
    if only_list:
        click.echo("\n".join(names) if what is None else "\n".join(options(_benchmark(what).run)))
        return
    chosen = parsed(_benchmark(what).run, given) if what is not None else {}
    check_outputs({"--json": json_path}, [value for value in chosen.values() if isinstance(value, Path)])
    measured: dict[str, Any] = {}
    for name in wanted:
        module = _benchmark(name)
        measured[name] = module.run(**chosen)
        click.echo(json.dumps({name: measured[name]}, indent=2))
        if save:
            _save(name, module, measured[name], root / "benchmarks" / "results")
    if json_path is not None:
        save_text(json_path, json.dumps(measured, indent=2) + "\n")


def checkout() -> Path:
    """The root of the checkout: the package's own, else the working directory. Its modules can then be imported.

    Raises InputError where neither holds benchmarks.
    """
    for root in (PACKAGE_ROOT, Path.cwd()):
        if (root / "benchmarks" / "_report.py").is_file():
            if str(root) not in sys.path:
                sys.path.insert(0, str(root))
            return root
    raise InputError("benchmarks are part of a checkout, not of the package: run siamfc bench in a checkout's root")


def available(folder: Path) -> list[str]:
    """The names of the benchmarks in a folder."""
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def options(run: Callable[..., Any]) -> list[str]:
    """A benchmark's options with their defaults, as `-o` takes them."""
    parameters = inspect.signature(run).parameters.values()
    return [f"{each.name}={_shown(each.default)}" for each in parameters]


def parsed(run: Callable[..., Any], given: Sequence[str]) -> dict[str, Any]:
    """The arguments of `run` from `key=value` pairs. Raises InputError for an unknown option or a wrong value."""
    hints = get_type_hints(run)
    known = inspect.signature(run).parameters
    values: dict[str, Any] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"-o {pair!r} is not key=value")
        if name not in known:
            raise InputError(f"no option {name!r}; there are {', '.join(known) or 'none'}")
        try:
            values[name] = _value(hints.get(name, type(known[name].default)), text)
        except (ValueError, KeyError):
            raise InputError(f"-o {pair!r}: {text!r} is no {_type_name(hints.get(name))}") from None
    return values


def _value(kind: Any, text: str) -> Any:
    """The text as the annotated type: int, float, str, Path or bool; `T | None`; or a tuple, separated by commas.

    Raises ValueError or KeyError.
    """
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = (each for each in get_args(kind) if each is not type(None))
    if get_origin(kind) is tuple:
        return tuple(_value(get_args(kind)[0], part) for part in text.split(","))
    if kind is bool:
        return _FLAGS[text.lower()]
    if kind in (int, float, str, Path):
        return kind(text)
    raise ValueError(text)


def _type_name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)) if get_origin(kind) is None else str(kind)


def _shown(default: Any) -> str:
    if default is None or default is inspect.Parameter.empty:
        return ""
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _benchmark(name: str) -> Any:
    return importlib.import_module(f"benchmarks.{name}")


def _save(name: str, module: Any, result: dict[str, Any], folder: Path) -> None:
    report = importlib.import_module("benchmarks._report")
    for path in report.save(name, module, result, folder):
        click.echo(f"wrote {path}", err=True)
