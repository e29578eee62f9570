"""`siamfc bench`: the benchmarks of a checkout.

Every `benchmarks/NAME.py` is one: it has `run(...) -> dict`, whose values are plain JSON, and a docstring. The keyword
arguments of `run` are the benchmark's options; their annotations say what values they take.
"""

from __future__ import annotations

import importlib
import inspect
import json
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import click

from siamfc.cli.failures import InputError

ROOT = Path(__file__).resolve().parents[2]

_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@click.command()
@click.argument("what", required=False)
@click.option("--json", "json_path", metavar="OUT", type=click.Path(dir_okay=False, path_type=Path), help="JSON file.")
@click.option("--list", "only_list", is_flag=True, help="Say which there are, and their options.")
@click.option("-o", "given", metavar="KEY=VALUE", multiple=True, help="An option of the benchmark; may be repeated.")
@click.option("--save", is_flag=True, help="Write JSON, a table and a plot, dated, to benchmarks/results.")
def bench(what: str | None, json_path: Path | None, only_list: bool, given: tuple[str, ...], save: bool) -> None:
    """Run the benchmarks.

    The one called WHAT, or all of them; what they measure is printed as JSON.
    """
    names = available(ROOT / "benchmarks")
    if what is not None and what not in names:
        raise InputError(f"no benchmark {what!r}; there are {', '.join(names)}")
    if given and what is None:
        raise click.UsageError("-o goes with the name of a benchmark")
    wanted = names if what is None else [what]
    if only_list:
        click.echo("\n".join(names) if what is None else "\n".join(options(_benchmark(what).run)))
        return
    chosen = parsed(_benchmark(what).run, given) if what is not None else {}
    measured: dict[str, Any] = {}
    for name in wanted:
        module = _benchmark(name)
        measured[name] = module.run(**chosen)
        click.echo(json.dumps({name: measured[name]}, indent=2))
        if save:
            _save(name, module, measured[name])
    if json_path is not None:
        json_path.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


def available(folder: Path) -> list[str]:
    """The benchmarks' names. Raises InputError where there is no such folder, or none in it."""
    names = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    if not names:
        raise InputError("no benchmarks here: they belong to a checkout of the repository, not to the package")
    return names


def options(run: Callable[..., Any]) -> list[str]:
    """A benchmark's options as `-o` takes them, each with its default."""
    parameters = inspect.signature(run).parameters.values()
    return [f"{each.name}={_shown(each.default)}" for each in parameters]


def parsed(run: Callable[..., Any], given: Sequence[str]) -> dict[str, Any]:
    """The arguments of `run` that `key=value` pairs give. Raises InputError: no such option, or no such value."""
    hints = get_type_hints(run)
    known = inspect.signature(run).parameters
    values: dict[str, Any] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"-o {pair!r}: say key=value")
        if name not in known:
            raise InputError(f"no option {name!r}; there are {', '.join(known) or 'none'}")
        try:
            values[name] = _value(hints.get(name, type(known[name].default)), text)
        except (ValueError, KeyError):
            raise InputError(f"-o {pair!r}: {text!r} is no {_called(hints.get(name))}") from None
    return values


def _value(kind: Any, text: str) -> Any:
    """The text as what an annotation asks for: a number, flag, text, path, one of these or None, or several by comma.

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


def _called(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)) if get_origin(kind) is None else str(kind)


def _shown(default: Any) -> str:
    if default is None or default is inspect.Parameter.empty:
        return ""
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _benchmark(name: str) -> Any:
    return importlib.import_module(f"benchmarks.{name}")


def _save(name: str, module: Any, result: dict[str, Any]) -> None:
    report = importlib.import_module("benchmarks._report")
    for path in report.save(name, module, result, ROOT / "benchmarks" / "results"):
        click.echo(f"wrote {path}", err=True)
