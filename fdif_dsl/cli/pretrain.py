"""`fdifc pretrain`: pre-trains a network on a stream of volumes."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fdif_dsl.cli.errors import INTERRUPTED
from fdif_dsl.cli.options import FilePath, library
from fdif_dsl.cli.steps import Steps
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

if TYPE_CHECKING:
    from fdif_dsl.runtime.training.metrics import Score
    from fdif_dsl.runtime.training.pretrain import Run

_CLASSES = 12  # how many classes the table at the end names


@click.command("pretrain")
@click.argument("recipe", metavar="RECIPE")
@click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")
@click.option("-o", "directory", type=FilePath, metavar="DIR", help="The folder for the run. [default: runs/RECIPE]")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="The same as train.seed=SEED.")
@click.option("--steps", type=click.IntRange(1), metavar="N", help="The same as train.steps=N.")
@click.option("--resume", is_flag=True, help="Continue the run in DIR from its checkpoint.")
@click.option("--overwrite", is_flag=True, help="Start anew where DIR holds an earlier run.")
@click.option("--require-fall", type=click.FloatRange(0, 100), metavar="PERCENT",
              help="Fail unless the loss fell by that much.")
@library("the recipe's")
@click.pass_context
def command(ctx: click.Context, recipe: str, overrides: tuple[str, ...], directory: Path | None, seed: int | None,
            steps: int | None, resume: bool, overwrite: bool, require_fall: float | None,
            paths: tuple[str, ...]) -> None:
    """Pre-train a network as RECIPE says, a built-in recipe's name or a TOML file.

    Values of the recipe can be replaced, for example train.steps=1000 volume.objects=5.

    Ctrl-C ends the run after the step in hand and leaves a checkpoint; --resume goes on from there.
    """
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite contradict each other")
    # Threads of torch that wait for each other spin by default. Where another program has taken a core, a step
    # then lasts a hundred times as long. Read when torch is loaded, so it is set before.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from fdif_dsl.runtime.training.interrupt import shield

    shield()
    from fdif_dsl.compiler.library import load_library
    from fdif_dsl.runtime.recipe import Recipe, resolve
    from fdif_dsl.runtime.training.pretrain import pretrain

    given = [f"train.{key}={value}" for key, value in (("seed", seed), ("steps", steps)) if value is not None]
    chosen = Recipe.load(recipe, [*overrides, *given])
    name = Path(recipe).stem
    directory = directory or Path("runs") / name
    lib = load_library(paths or chosen.library)
    lib.compile(formulas=resolve(chosen, lib).formulas)

    def begin() -> None:
        click.echo(f"pre-training {chosen.training.network} on the recipe {name} for {chosen.training.steps} steps, "
                   f"into {directory}")

    with Steps("volumes/s") as report:
        run = pretrain(lib, chosen, directory, name=name, resume=resume, overwrite=overwrite, on_start=begin,
                       report=report.step, announce=report.validated, on_interrupt=report.stopping)
    if run is None:  # a process of many, and not the one that speaks
        return
    if run.interrupted:
        click.echo(f"interrupted after step {run.steps}; the checkpoint is {directory / 'last.ckpt'}, "
                   "and --resume goes on from it", err=True)
        ctx.exit(INTERRUPTED)
    _tell(run, directory)
    if require_fall is not None and run.loss.percent < require_fall:
        raise FdifError(Diagnostic(
            "E0843", f"the loss fell by {run.loss.percent:.1f} %", where="--require-fall",
            why=f"at least {require_fall:g} % were asked for",
            hint="more steps or another learning rate may help"))


def _tell(run: Run, directory: Path) -> None:
    """How it went: speed, the scores of the held-out volumes, and where things are."""
    from fdif_dsl.cli.console import stdout

    for score in run.scores:
        stdout().print(_score_table(score))
    if run.best[0]:
        click.echo(f"best validation: mean {run.best[1]:.3f}, after step {run.best[0]}")
    click.echo(f"{run.steps} steps in {run.seconds:.0f} s: {run.loss}")
    click.echo(f"{run.speed.volumes_per_second:.1f} volumes/s; "
               f"{100 * run.speed.waited:.1f} % of the time waiting for data")
    click.echo(f"weights in {directory / 'weights.pt'}, curves in {directory / 'loss.png'}"
               + (f" and {directory / 'scores.png'}" if run.scores else ""))


def _score_table(score: Score) -> Any:
    """The classes from best to worst; of many the ends only."""
    from rich.table import Table

    known = sorted(((v, n, c) for v, n, c in zip(score.values, score.size, score.classes, strict=True)
                    if not math.isnan(v)), reverse=True)
    table = Table(title=f"{score.task}: mean {score.mean:.3f}, above 0.5 in {score.above_half} of {len(known)} classes",
                  title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("class", header_style="dim", overflow="fold")
    table.add_column("score", header_style="dim", justify="right")
    table.add_column("share of what is labelled", header_style="dim", justify="right")
    half = _CLASSES // 2
    shown = known if len(known) <= _CLASSES else [*known[:half], None, *known[-half:]]
    for row in shown:
        if row is None:
            table.add_row(f"... {len(known) - 2 * half} more, in validation.csv", "", "")
        else:
            table.add_row(row[2], f"{row[0]:.3f}", f"{100 * row[1] / sum(score.size):.1f} %")
    return table
