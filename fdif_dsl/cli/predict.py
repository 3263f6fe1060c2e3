"""`fdifc predict`: segments new images with a fine-tuned network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fdif_dsl.cli.errors import INTERRUPTED
from fdif_dsl.cli.options import FilePath
from fdif_dsl.cli.reports import Report


@click.command("predict")
@click.argument("run", type=FilePath, metavar="RUN")
@click.argument("images", type=FilePath, nargs=-1, required=True, metavar="IMAGES...")
@click.option("-o", "directory", type=FilePath, required=True, metavar="DIR", help="The folder for the labels.")
@click.option("--flips", is_flag=True, help="See each patch mirrored along every axis too; takes eight times as long.")
@click.option("--probabilities", is_flag=True, help="Keep the probability of each class of each voxel too.")
@click.option("--overlap", type=click.FloatRange(0, 0.9), metavar="SHARE",
              help="Of patches that slide over an image. [default: that of the run's recipe]")
@click.option("--accelerator", type=click.Choice(["auto", "cpu", "gpu"]), default="auto", show_default=True,
              help="Where the network computes.")
@click.option("--classes", metavar="NAME=L,...",
              help="For a run of `fdifc pretrain`: which of its formulas are looked for, and the number of each.")
@click.option("--spacing", metavar="MM", default="1", show_default=True,
              help="With --classes: of the voxels that the network sees; or Z,Y,X.")
@click.option("--resume/--overwrite", default=True, show_default=True,
              help="Keep what is done already in DIR, or make everything anew.")
@click.pass_context
def command(ctx: click.Context, run: Path, images: tuple[Path, ...], directory: Path, flips: bool, probabilities: bool,
            overlap: float | None, accelerator: str, classes: str | None, spacing: str, resume: bool) -> None:
    """Segment IMAGES, files or folders of them, with the networks of RUN, a folder that `fdifc finetune` left.

    Each label lies on the grid of its image and has the data set's numbers. Where the run has several networks, of
    several seeds or of all folds, their mean is taken; a folder or a weights.pt inside of RUN names one of them.

    With --classes RUN is one of `fdifc pretrain`, whose formulas are what is looked for, as those of `fdifc fit` are.

    A call that was ended goes on where it stood when the same command is given again.
    """
    from fdif_dsl.runtime import predicting

    wanted, voxels = _classes(classes), _spacing(spacing)
    with _Report() as report:
        hooks = predicting.Hooks(report.begin, report.patch, report.image)
        try:
            predicting.predict(run, images, directory, flips=flips, probabilities=probabilities, overlap=overlap,
                               accelerator=accelerator, overwrite=not resume, classes=wanted, spacing=voxels,
                               hooks=hooks)
        except KeyboardInterrupt:
            report.close()
            if not report.begun:
                raise
            click.echo("interrupted; the same command goes on with what is left", err=True)
            ctx.exit(INTERRUPTED)


def _classes(text: str | None) -> dict[str, int] | None:
    if text is None:
        return None
    parts = [part.strip().partition("=") for part in text.split(",")]
    if not all(name and number.isdecimal() and 0 < int(number) < 2**15 for name, _, number in parts):
        raise click.UsageError(f"--classes {text!r}: write a class and its number in the files, as in liver=1")
    return {name: int(number) for name, _, number in parts}


def _spacing(text: str) -> tuple[float, float, float]:
    try:
        sides = [float(part) for part in text.split(",")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 3) or not all(0 < side < 1000 for side in sides):
        raise click.UsageError(f"--spacing {text!r}: write the side of a voxel in mm, as in 1, or three, as in 3,1,1")
    z, y, x = sides * 3 if len(sides) == 1 else sides
    return z, y, x


class _Report(Report):
    """A bar for the image in hand, and a line for each that is done."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Any = None

    def close(self) -> None:
        super().close()
        self._bar = None

    def patch(self, name: str, done: int, total: int) -> None:
        """A patch is done."""
        from fdif_dsl.compiler.support.progress import bar

        if self._bar is None:
            self._bar = self.bars.enter_context(bar(name))
        self._bar(done, total)

    def image(self, path: Path) -> None:
        """An image is done."""
        self.close()
        click.echo(f"  {path}")
