"""`fdifc finetune`: fine-tunes a network on a user's labelled images, and scores it on those held out."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fdif_dsl.cli.errors import INTERRUPTED
from fdif_dsl.cli.options import FilePath
from fdif_dsl.cli.steps import Steps

if TYPE_CHECKING:
    from fdif_dsl.runtime.finetuning import Comparison, Difference, Result
    from fdif_dsl.runtime.finetuning.work import Work
    from fdif_dsl.runtime.training.log import Row


@click.command("finetune")
@click.argument("recipe", metavar="RECIPE")
@click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")
@click.option("--data", "path", type=FilePath, metavar="PATH", help="The data set; the same as data.path=PATH.")
@click.option("--weights", type=FilePath, metavar="PATH", help="What `fdifc pretrain` left: a folder or a weights.pt.")
@click.option("--compare", type=click.Choice(["scratch"]), help="Run without the weights too, and say what they gain.")
@click.option("--cases", type=click.IntRange(0), metavar="N", help="Train on N of the training cases; 0 for all.")
@click.option("--fold", type=click.IntRange(0), metavar="K", help="The fold that is held out, from 0.")
@click.option("--seeds", metavar="N,N,...", help="A run for each.")
@click.option("--steps", type=click.IntRange(1), metavar="N", help="The same as train.steps=N.")
@click.option("--predictions", is_flag=True, help="Keep the classes found in held-out cases, as NIfTI.")
@click.option("-o", "directory", type=FilePath, metavar="DIR", help="The folder for the runs. [default: runs/RECIPE]")
@click.option("--overwrite", is_flag=True, help="Start anew where DIR holds an earlier fine-tuning.")
@click.pass_context
def command(ctx: click.Context, recipe: str, overrides: tuple[str, ...], path: Path | None, weights: Path | None,
            compare: str | None, cases: int | None, fold: int | None, seeds: str | None, steps: int | None,
            predictions: bool, directory: Path | None, overwrite: bool) -> None:
    """Fine-tune a network on labelled images as RECIPE says, a built-in recipe's name or a TOML file.

    The data set is a MONAI data list (a .json file) or a raw data set of nnU-Net (its folder). All of it is looked at
    before training starts. Values of the recipe can be replaced, for example train.lr=1e-3 data.folds=4.

    Ctrl-C ends the run; what it had not finished is made anew with --overwrite.
    """
    # Threads of torch that wait for each other spin by default; see `fdifc pretrain`.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from fdif_dsl.runtime import finetuning

    given = [f"{key}={_toml(value)}" for key, value in (
        ("data.path", path), ("train.weights", weights), ("data.cases", cases), ("data.fold", fold),
        ("train.steps", steps)) if value is not None]
    given += [f"train.seeds=[{seeds}]"] if seeds else []
    given += ["validate.predictions=true"] if predictions else []
    chosen = finetuning.FinetuneRecipe.load(recipe, [*overrides, *given])
    name = Path(recipe).stem
    directory = directory or Path("runs") / name
    with _Report(directory) as report:
        hooks = finetuning.Hooks(report.examining, report.begin, report.run, report.step, report.scored,
                                 report.stopping)
        function: Any = finetuning.compare if compare else finetuning.finetune
        try:
            found = function(chosen, directory, name=name, overwrite=overwrite, hooks=hooks)
        except KeyboardInterrupt:
            report.close()
            click.echo(f"interrupted; what was not finished is made anew with --overwrite, in {directory}", err=True)
            ctx.exit(INTERRUPTED)
    _tell(found, directory)


def _toml(value: object) -> str:
    return str(value) if isinstance(value, int) else json.dumps(str(value), ensure_ascii=False)


def _tell(found: Result | Comparison, directory: Path) -> None:
    """The scores, what they say, and where things are."""
    from fdif_dsl.cli.console import stdout
    from fdif_dsl.runtime.finetuning import Result

    if isinstance(found, Result):
        stdout().print(_scores(found))
    else:
        stdout().print(_differences(found))
        click.echo(_verdict(found))
    click.echo(f"every score in {directory / 'scores.csv'}; pictures, curves and weights in the folders of the runs")


def _scores(result: Result) -> Any:
    table = _table(f"{_count(len(result.cases), 'held-out case')}, {_count(len(result.seeds), 'seed')}",
                   "class", "Dice", "HD95 mm", "cases")
    for name, dice, hd95, k in zip(result.classes, result.by_class(result.dice), result.by_class(result.hd95),
                                   range(len(result.classes)), strict=True):
        table.add_row(name, _number(dice), _number(hd95, 1), str(sum(v == v for v in result.dice[0, :, k])))
    table.add_row("mean", _number(result.mean_dice), _number(result.mean_hd95, 1), "", style="bold")
    return table


def _differences(found: Comparison) -> Any:
    one, other = found.pretrained, found.scratch
    table = _table(f"Dice of {_count(len(one.cases), 'held-out case')}, {_count(len(one.seeds), 'seed')}",
                   "class", "pretrained", "scratch", "difference", "95 % interval")
    rows = zip(one.classes, one.by_class(one.dice), other.by_class(other.dice), found.classes, strict=True)
    for name, mine, its, difference in rows:
        table.add_row(name, _number(mine), _number(its), *_interval(difference))
    table.add_row("mean", _number(one.mean_dice), _number(other.mean_dice), *_interval(found.mean), style="bold")
    return table


def _interval(difference: Difference) -> tuple[str, str]:
    if math.isnan(difference.mean):
        return "", ""
    return f"{difference.mean:+.3f}", f"{difference.low:+.3f} to {difference.high:+.3f}"


def _verdict(found: Comparison) -> str:
    """One sentence that says no more than the figures do."""
    mean, cases = found.mean, len(found.pretrained.cases)
    if math.isnan(mean.mean):
        return "no held-out case has a class, so nothing can be said"
    if not mean.clear:
        text = "the interval holds 0: these cases do not tell the two apart"
    else:
        text = (f"the weights {'gain' if mean.mean > 0 else 'lose'} {abs(100 * mean.mean):.1f} Dice points on these "
                f"cases, and the interval does not hold 0")
    return text + ("; with so few cases it is too narrow" if cases < 10 else "")


def _table(title: str, *columns: str) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, header_style="dim", overflow="fold", justify="left" if column == "class" else "right")
    return table


def _number(value: float, digits: int = 3) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


class _Report:
    """What is said on the way."""

    def __init__(self, directory: Path) -> None:
        from contextlib import ExitStack

        self.directory = directory
        self._open = ExitStack()
        self._steps: Steps | None = None
        self._look: Any = None

    def __enter__(self) -> _Report:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes bars off the terminal."""
        self._open.close()
        self._steps = None

    def examining(self, done: int, total: int) -> None:
        """Cases are looked at."""
        from fdif_dsl.compiler.progress import bar

        if self._look is None:
            self._look = self._open.enter_context(bar("looking at cases"))
        self._look(done, total)
        if done == total:
            self.close()

    def begin(self, work: Work) -> None:
        """All is checked."""
        data, recipe = work.bank.data, work.recipe
        count = recipe.data.cases or len(work.train)
        click.echo(f"fine-tuning {work.plan.row.name} on {count} of {_count(len(work.train), 'case')}, with "
                   f"{len(work.held_out)} held out, for {_count(recipe.train.steps, 'step')}, into {self.directory}")
        voxels = "" if work.bank.spacing is None else "; voxels (z, y, x) of {:.3g} x {:.3g} x {:.3g} mm".format(
            *work.bank.spacing)
        click.echo(f"{data.list.path}: {_count(data.channels, 'channel')}, {len(data.classes) - 1} classes{voxels}")

    def run(self, start: str, seed: int) -> None:
        """A run begins."""
        click.echo(f"{start}, seed {seed}")
        self._steps = self._open.enter_context(Steps("patches/s"))

    def step(self, row: Row, steps: int) -> None:
        """A step is done."""
        if self._steps is not None:
            self._steps.step(row, steps)

    def scored(self, taken: str, dice: float) -> None:
        """A run is done."""
        self.close()
        click.echo(f"  {taken + '; ' if taken else ''}mean Dice {_number(dice) or 'unknown'}")

    def stopping(self) -> None:
        """Ctrl-C came."""
        if self._steps is not None:
            self._steps.stopping()
