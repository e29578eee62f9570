"""`siamfc bench`: the benchmarks of a checkout.

Every `benchmarks/NAME.py` is one: it has `run() -> dict`, whose values are plain JSON, and a docstring.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import click

from service.cli.failures import InputError

ROOT = Path(__file__).resolve().parents[2]


@click.command()
@click.argument("what", required=False)
@click.option("--json", "json_path", metavar="OUT", type=click.Path(dir_okay=False, path_type=Path), help="JSON file.")
@click.option("--list", "only_list", is_flag=True, help="Say which there are.")
def bench(what: str | None, json_path: Path | None, only_list: bool) -> None:
    """Run the benchmarks.

    The one called WHAT, or all of them; what they measure is printed as JSON.
    """
    names = available(ROOT / "benchmarks")
    if only_list:
        click.echo("\n".join(names))
        return
    if what is not None and what not in names:
        raise InputError(f"no benchmark {what!r}; there are {', '.join(names)}")
    measured: dict[str, Any] = {}
    for name in names if what is None else [what]:
        measured[name] = importlib.import_module(f"benchmarks.{name}").run()
        click.echo(json.dumps({name: measured[name]}, indent=2))
    if json_path is not None:
        json_path.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


def available(folder: Path) -> list[str]:
    """The benchmarks' names. Raises InputError where there is no such folder, or none in it."""
    names = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    if not names:
        raise InputError("no benchmarks here: they belong to a checkout of the repository, not to the package")
    return names
