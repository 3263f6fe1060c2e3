"""`fdifc finetune`: fine-tunes a network on a user's labelled images, and scores it on those held out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fdif_dsl.cli.errors import INTERRUPTED
from fdif_dsl.cli.options import FilePath
from fdif_dsl.cli.reports import Report
from fdif_dsl.cli.steps import Steps

if TYPE_CHECKING:
    from fdif_dsl.grammar.diagnostics import Diagnostic
    from fdif_dsl.runtime.training.log import Row


@click.command("finetune")
@click.argument("recipe", metavar="RECIPE")
@click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")
@click.option("--data", "path", type=FilePath, metavar="PATH", help="The data set; the same as data.path=PATH.")
@click.option("--weights", metavar="WHERE",
              help="What `fdifc pretrain` left: a folder or a weights.pt; an export; or hf://user/name.")
@click.option("--compare", type=click.Choice(["scratch"]), help="Run without the weights too, and say what they gain.")
@click.option("--cases", type=click.IntRange(0), metavar="N", help="Train on N of the training cases; 0 for all.")
@click.option("--fold", type=click.IntRange(0), metavar="K", help="The fold that is held out, from 0.")
@click.option("--ensemble", is_flag=True, help="Train a network for each fold; `fdifc predict` takes their mean.")
@click.option("--seeds", metavar="N,N,...", help="A run for each.")
@click.option("--steps", type=click.IntRange(1), metavar="N", help="The same as train.steps=N.")
@click.option("--predictions", is_flag=True, help="Keep the classes found in held-out cases.")
@click.option("-o", "directory", type=FilePath, metavar="DIR", help="The folder for the runs. [default: runs/RECIPE]")
@click.option("--overwrite", is_flag=True, help="Start anew where DIR holds an earlier fine-tuning.")
@click.pass_context
def command(ctx: click.Context, recipe: str, overrides: tuple[str, ...], path: Path | None, weights: str | None,
            compare: str | None, cases: int | None, fold: int | None, ensemble: bool, seeds: str | None,
            steps: int | None, predictions: bool, directory: Path | None, overwrite: bool) -> None:
    """Fine-tune a network on labelled images as RECIPE says, a built-in recipe's name or a TOML file.

    The data set is a MONAI data list (a .json file), a raw data set of nnU-Net (its folder), or MedMNIST (a .npz
    file). All of it is looked at before training starts. Values of the recipe can be replaced, for example
    train.lr=1e-3 data.folds=4.

    Ctrl-C ends the run; what it had not finished is made anew with --overwrite.
    """
    # Threads of torch that wait for each other spin by default; see `fdifc pretrain`.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from fdif_dsl.runtime.training.interrupt import shield

    shield()
    from fdif_dsl.cli.console import stdout
    from fdif_dsl.cli.score_tables import score_tables
    from fdif_dsl.runtime import finetuning

    given = [f"{key}={_toml(value)}" for key, value in (
        ("data.path", path), ("train.weights", weights), ("data.cases", cases), ("data.fold", fold),
        ("train.steps", steps)) if value is not None]
    given += [f"train.seeds=[{seeds}]"] if seeds else []
    given += ["data.ensemble=true"] if ensemble else []
    given += ["validate.predictions=true"] if predictions else []
    chosen = finetuning.FinetuneRecipe.load(recipe, [*overrides, *given])
    name = Path(recipe).stem
    directory = directory or Path("runs") / name
    with _Report() as report:
        hooks = finetuning.Hooks(report.examining, report.begin, report.run, report.step, report.scored,
                                 report.stopping, report.warned)
        whole = Path(chosen.data.path).suffix == ".npz"
        function: Any = (finetuning.compare_classified if compare else finetuning.classify) if whole else (
            finetuning.compare if compare else finetuning.finetune)
        try:
            found = function(chosen, directory, name=name, overwrite=overwrite, hooks=hooks)
        except KeyboardInterrupt:
            report.close()
            if not report.begun:
                raise
            click.echo(f"interrupted; what was not finished is made anew with --overwrite, in {directory}", err=True)
            ctx.exit(INTERRUPTED)
    for each in score_tables(found):
        stdout().print(each)
    click.echo(f"every score in {directory / 'scores.csv'}; weights, curves and pictures in the folders of the runs")


def _toml(value: object) -> str:
    return str(value) if isinstance(value, int) else json.dumps(str(value), ensure_ascii=False)


class _Report(Report):
    """What is said on the way."""

    def __init__(self) -> None:
        super().__init__()
        self._steps: Steps | None = None
        self._look: Any = None

    def close(self) -> None:
        super().close()
        self._steps = None

    def examining(self, done: int, total: int) -> None:
        """Cases are looked at."""
        from fdif_dsl.compiler.support.progress import bar

        if self._look is None:
            self._look = self.bars.enter_context(bar("looking at cases"))
        self._look(done, total)
        if done == total:
            self.close()

    def warned(self, warning: Diagnostic) -> None:
        """Something about the data is odd."""
        self.close()
        click.echo(warning.render(), err=True)

    def run(self, start: str, seed: int) -> None:
        """A run begins."""
        click.echo(f"{start}, seed {seed}")
        self._steps = self.bars.enter_context(Steps("patches/s"))

    def step(self, row: Row, steps: int) -> None:
        """A step is done."""
        if self._steps is not None:
            self._steps.step(row, steps)

    def scored(self, text: str) -> None:
        """A run is done."""
        self.close()
        click.echo(f"  {text}")

    def stopping(self) -> None:
        """Ctrl-C came."""
        if self._steps is not None:
            self._steps.stopping()
