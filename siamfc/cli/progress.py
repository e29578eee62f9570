"""A progress bar on stderr, with the rate and the time left, where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class ShowProgress(Protocol):
    """Shows how much is done, and optionally a new description."""

    def __call__(self, done: int, description: str | None = None) -> None: ...


@contextmanager
def progress(description: str, total: int | None, *, quiet: bool = False) -> Iterator[ShowProgress]:
    """Show the progress of the work in the block. `total` is None where the end is not known."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.{1 if task.speed < 10 else 0}f}/s")

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeLeft(compact=True))
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(description, total=total)

        def report(done: int, description: str | None = None) -> None:
            bar.update(task, completed=done, description=description)

        yield report
