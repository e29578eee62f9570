"""A benchmark's result as files: JSON, and a table and a plot if the module can make them.

A module that has `table(result) -> list[list[str]]`, header first, gets a table; one that has `plot(result, figure)`,
which draws on a matplotlib figure, gets a plot. The parameter's name `result` is part of the convention.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any


def save(name: str, module: ModuleType, result: dict[str, Any], folder: Path) -> list[Path]:
    """Write `DATE-NAME.json`, `.md` and `.png`, by the date the result itself states; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{result['machine']['date']}-{name}"
    data, page, picture = (Path(f"{stem}{suffix}") for suffix in (".json", ".md", ".png"))
    data.write_text(json.dumps({name: result}, indent=2) + "\n", encoding="utf-8")
    written = [data]
    plot, table = _hook(module, "plot"), _hook(module, "table")
    if plot is not None:
        _draw(plot, result, picture)
        written.append(picture)
    if table is not None:
        shown = picture.name if plot is not None else None
        page.write_text(_page(name, module, result, table(result), shown), encoding="utf-8")
        written.append(page)
    return written


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table, its first row the header."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def plain_numbers(*axes: Any) -> None:
    """Numbers on logarithmic axes (of matplotlib) as people write them, the finer ones where there is room."""
    for axis in axes:
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")


def machine_line(machine: dict[str, Any]) -> str:
    """The machine of a measurement, in one line."""
    device = machine.get("cuda") or f"{machine['cores']} cores of {machine['processor']}"
    load = machine.get("load_1min_before")
    return f"{machine['date']}, {device}, torch {machine['torch']}, load before {load}."


def _page(name: str, module: ModuleType, result: dict[str, Any], rows: list[list[str]], picture: str | None) -> str:
    about = inspect.cleandoc(module.__doc__ or "").partition("\n\n")[0]
    parts = [f"# {name}", about, machine_line(result["machine"]), markdown(rows)]
    if picture is not None:
        parts.append(f"![{name}]({picture})")
    return "\n\n".join(parts) + "\n"


def _draw(plot: Callable[..., None], result: dict[str, Any], path: Path) -> None:
    # Here, not above: matplotlib comes with the extra `train`.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    plot(result, figure)
    figure.savefig(path, dpi=110)


def _hook(module: ModuleType, name: str) -> Callable[..., Any] | None:
    found = getattr(module, name, None)
    if found is None or next(iter(inspect.signature(found).parameters), None) != "result":
        return None
    return found  # type: ignore[no-any-return]
