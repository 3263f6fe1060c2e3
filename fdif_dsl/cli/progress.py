"""How far a data set is: a bar at a terminal, and a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from fdif_dsl.compiler.support.progress import Progress, at_terminal, tell

_LINES = 10  # for a whole data set
_PAUSE = 30.0  # seconds between two lines, at the least


@contextmanager
def rate_bar(what: str) -> Iterator[Progress]:
    """Shows what is done, how many a second, and the time left. What is done at the first call is not counted into the
    rate: it was there before."""
    if not at_terminal():
        yield _lines(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            settled = task.speed is not None and (task.elapsed or 0) > 1  # the first few come all at once
            return Text(f"{task.speed:.1f} a second" if settled else "", "dim")

    with Bar(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn(),
             console=Console(stderr=True), transient=True) as shown:
        task = None

        def advance(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                task = shown.add_task(what, total=total, completed=done)
            else:
                shown.update(task, completed=done)

        yield advance


def _lines(what: str) -> Progress:
    start = shown = time.monotonic()
    first: int | None = None
    tenth = 0

    def advance(done: int, total: int) -> None:
        nonlocal first, shown, tenth
        now = time.monotonic()
        if first is None:
            first = done
        elif done * _LINES // total > tenth and now - shown >= _PAUSE and done < total:
            rate = (done - first) / (now - start)
            tell(f"{done} of {total} {what}, {rate:.1f} a second, {_span((total - done) / rate)} left")
            shown, tenth = now, done * _LINES // total

    return advance


def _span(seconds: float) -> str:
    minutes, hours = round(seconds / 60), seconds / 3600
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{hours:.1f} h"
