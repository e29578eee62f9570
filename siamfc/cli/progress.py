"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Report(Protocol):
    """Takes how much is done, and perhaps what of."""

    def __call__(self, done: int, description: str | None = None) -> None: ...


@contextmanager
def progress(description: str, total: int | None) -> Iterator[Report]:
    """Show how far the work inside has come; `total` None is work without a known end."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(description, total=total)

        def report(done: int, description: str | None = None) -> None:
            bar.update(task, completed=done, description=description)

        yield report
