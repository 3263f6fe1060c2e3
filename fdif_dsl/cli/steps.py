"""How far a run of training is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fdif_dsl.runtime.training.log import Row
    from fdif_dsl.runtime.training.metrics import Score

_LINES = 10  # how many lines a run prints where there is no terminal for a progress bar


class Steps:
    """A run as it goes: a progress bar on a terminal, a few lines elsewhere. `unit` is what a step takes several of, a
    second."""

    def __init__(self, unit: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._unit = unit
        console = Console(stderr=True)
        self._live = console.is_terminal
        self._bar = Progress(
            TextColumn("step"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.fields[loss]}"),
            TextColumn("{task.fields[pace]}"), TimeRemainingColumn(), console=console, disable=not self._live)
        self._task = self._bar.add_task("", total=None, loss="", pace="starting")
        self._loss: float | None = None
        self._seconds = self._waited = 0.0
        self._first, self._volumes = 0, 0
        self._stopping = False

    def __enter__(self) -> Steps:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._heard():
            self._bar.stop()

    def step(self, row: Row, steps: int) -> None:
        """A step is done."""
        with self._heard():
            self._step(row, steps)

    @contextmanager
    def _heard(self) -> Iterator[None]:
        """Once the run is to end, nobody may be there to read any more, and that is no reason to lose the step."""
        try:
            yield
        except OSError:
            if not self._stopping:
                raise

    def _step(self, row: Row, steps: int) -> None:
        """The loss shown is a running mean, since that of one step jumps about."""
        if self._loss is None:
            self._first, self._loss = row.step, row.loss
        else:  # the first step is slower than those after it
            self._seconds += row.seconds
            self._waited += row.waited
            self._volumes += row.volumes
        self._loss += 0.1 * (row.loss - self._loss)
        pace = ""
        if self._seconds:
            pace = (f"{self._volumes / self._seconds:.1f} {self._unit}, "
                    f"waiting {100 * self._waited / self._seconds:.0f} %")
        if self._live:
            self._bar.update(self._task, completed=row.step, total=steps, loss=f"loss {self._loss:.3f}", pace=pace)
        elif row.step == self._first or row.step * _LINES // steps > (row.step - 1) * _LINES // steps:
            click.echo(f"  step {row.step}/{steps}  loss {self._loss:.3f}  {pace}".rstrip())

    def validated(self, step: int, scores: list[Score]) -> None:
        """A validation is done."""
        text = ", ".join(f"{score.task} {score.mean:.3f}" for score in scores)
        line = f"  step {step}  validation: {text}"
        with self._heard():
            if self._live:
                self._bar.console.print(line, highlight=False)
            else:
                click.echo(line)

    def stopping(self) -> None:
        """Ctrl-C came, or another signal."""
        self._stopping = True
        self._bar.console.print("finishing this step; Ctrl-C again ends the run at once", highlight=False)
