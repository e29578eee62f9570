"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class ShowProgress(Protocol):
    """Shows how much is done, and optionally a new description."""

    def __call__(self, done: int, description: str | None = None) -> None: ...


@contextmanager
def progress(description: str, total: int | None) -> Iterator[ShowProgress]:
    """Show the progress of the work in the block. `total` is None where the end is not known."""
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
