"""What commands say on the terminal: results on stdout, progress on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fdif_dsl.compiler.progress import Progress as Advance


def stdout() -> Console:
    """The console for results: as wide as the terminal, and wide enough not to break lines for `grep`."""
    console = Console(highlight=False)  # made anew each time, since tests replace `sys.stdout`
    return console if console.is_terminal else Console(highlight=False, width=200)


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """A progress bar as a function of (done, total); silent where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance
