"""How long work tells how far it is, and what a user is told who did not ask."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

Progress = Callable[[int, int], None]
"""Called with what is done and of how much."""

# Fewer kernels than this take a second or two, of which nobody wants a record.
_WORTH_A_LINE = 4


def tell(text: str) -> None:
    """One line to the user, on stderr."""
    if sys.stderr is not None:  # a program without a console has none
        print(f"fdif-dsl: {text}", file=sys.stderr, flush=True)


@contextmanager
def bar(what: str) -> Iterator[Progress]:
    """A progress bar on stderr; silent where that is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=None)

        def advance(done: int, total: int) -> None:
            shown.update(task, completed=done, total=total)

        yield advance


@contextmanager
def first_use() -> Iterator[Progress]:
    """The progress of kernels that are compiled because something needs them: a bar at a terminal, else one line
    before the first kernel."""
    with ExitStack() as stack:
        advance: Progress | None = None

        def show(done: int, total: int) -> None:
            nonlocal advance
            if advance is None and (at_terminal() or done == 0):
                text = f"compiling {total} {'kernel' if total == 1 else 'kernels'}, once"
                if at_terminal():
                    advance = stack.enter_context(bar(text))
                else:
                    advance = _silent
                    if total >= _WORTH_A_LINE:
                        tell(text)
            if advance is not None:
                advance(done, total)

        yield show


def at_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _silent(done: int, total: int) -> None:
    pass
