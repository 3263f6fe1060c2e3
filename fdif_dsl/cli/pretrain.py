"""`fdifc pretrain`: pre-trains a network on a stream of volumes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from fdif_dsl.cli.errors import INTERRUPTED
from fdif_dsl.cli.options import FilePath, library
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

_LINES = 10  # how many lines a run prints where there is no terminal for a progress bar


@click.command("pretrain")
@click.argument("recipe", metavar="RECIPE")
@click.option("-o", "directory", type=FilePath, metavar="DIR", help="The folder for the run. [default: runs/RECIPE]")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="In place of the recipe's.")
@click.option("--steps", type=click.IntRange(1), metavar="N", help="In place of the recipe's.")
@click.option("--resume", is_flag=True, help="Continue the run in DIR from its checkpoint.")
@click.option("--overwrite", is_flag=True, help="Start anew where DIR holds an earlier run.")
@click.option("--require-fall", type=click.FloatRange(0, 100), metavar="PERCENT",
              help="Fail unless the loss fell by that much.")
@library
@click.pass_context
def command(ctx: click.Context, recipe: str, directory: Path | None, seed: int | None, steps: int | None, resume: bool,
            overwrite: bool, require_fall: float | None, library_path: Path | None) -> None:
    """Pre-train a network as RECIPE says, a built-in recipe's name or a TOML file.

    Ctrl-C ends the run after the step in hand and leaves a checkpoint; --resume goes on from there.
    """
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite contradict each other")
    # Threads of torch that wait for each other spin by default. Where another program has taken a core, a step
    # then lasts a hundred times as long. Read when torch is loaded, so it is set before.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from fdif_dsl.compiler.library import load_library
    from fdif_dsl.runtime.recipe import Recipe, resolve
    from fdif_dsl.runtime.training.pretrain import CURVE, pretrain

    chosen = Recipe.load(recipe)
    name = Path(recipe).stem
    directory = directory or Path("runs") / name
    lib = load_library(library_path)
    lib.compile(formulas=resolve(chosen, lib).formulas)
    click.echo(f"pre-training {chosen.training.network} on the recipe {name} for "
               f"{steps or chosen.training.steps} steps, into {directory}")
    with _Report() as report:
        run = pretrain(lib, chosen, directory, name=name, seed=seed, steps=steps, resume=resume, overwrite=overwrite,
                       report=report.step, on_interrupt=report.stopping)
    if run.interrupted:
        click.echo(f"interrupted after step {run.steps}; the checkpoint is {directory / 'last.ckpt'}, "
                   "and --resume goes on from it", err=True)
        ctx.exit(INTERRUPTED)
    click.echo(f"{run.steps} steps in {run.seconds:.0f} s: {run.loss}")
    click.echo(f"weights in {directory / 'weights.pt'}, loss curve in {directory / CURVE}")
    if require_fall is not None and run.loss.percent < require_fall:
        raise FdifError(Diagnostic(
            "E0843", f"the loss fell by {run.loss.percent:.1f} %", where="--require-fall",
            why=f"at least {require_fall:g} % were asked for",
            hint="more steps or another learning rate may help"))


class _Report:
    """The loss as the run goes: a progress bar on a terminal, a few lines elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._live = console.is_terminal
        self._bar = Progress(
            TextColumn("step"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.fields[loss]}"),
            TextColumn("{task.fields[pace]}"), TimeRemainingColumn(), console=console, disable=not self._live)
        self._task = self._bar.add_task("", total=None, loss="", pace="starting")
        self._mean = 0.0
        self._first: tuple[int, float] | None = None

    def __enter__(self) -> _Report:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def step(self, step: int, steps: int, loss: float) -> None:
        """A step is done. The loss shown is a running mean, since that of one step jumps about."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._mean = (step, now), loss
        self._mean += 0.1 * (loss - self._mean)
        start, then = self._first
        pace = f"{(step - start) / (now - then):.1f} steps/s" if step > start else ""
        if self._live:
            self._bar.update(self._task, completed=step, total=steps, loss=f"loss {self._mean:.3f}", pace=pace)
        elif step == start or step * _LINES // steps > (step - 1) * _LINES // steps:
            click.echo(f"  step {step}/{steps}  loss {self._mean:.3f}  {pace}".rstrip())

    def stopping(self) -> None:
        """Ctrl-C came."""
        self._bar.console.print("finishing this step; Ctrl-C again ends the run at once", highlight=False)
