"""`fdifc fit`: a formula with priors, learned from a few masks."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from fdif_dsl.cli.errors import INTERRUPTED
from fdif_dsl.cli.options import FilePath, seed
from fdif_dsl.cli.reports import Report


@click.command("fit")
@click.argument("masks", type=FilePath, nargs=-1, required=True, metavar="MASKS...")
@click.option("-o", "output", type=FilePath, required=True, metavar="NAME.sdf",
              help="The formula; NAME.toml and the folder `report` come to lie beside it.")
@click.option("--label", metavar="L", default="0", show_default=True,
              help="Which label is fitted; several, as in 1,2, are taken as one; 0 is all that is not 0.")
@click.option("--labels", metavar="L,M", help="Labels that are fitted each by itself, as the parts of one group.")
@click.option("--template", metavar="NAME", required=True,
              help="The class whose random quantities are fitted, such as organ.")
@click.option("--library", type=click.Path(), metavar="NAME|PATH", help="Where that class is. [default: found by name]")
@click.option("--images", type=FilePath, metavar="DIR", help="The images of masks that are given as files.")
@click.option("--count", type=click.IntRange(2), metavar="N", help="Take the first N masks. [default: all]")
@click.option("--grid", metavar="D,H,W", help="The recipe's volumes. [default: about the masks' images]")
@click.option("--scale/--no-scale", default=None,
              help="Whether each mask has a size beside the template's lengths. [default: where these do not reach]")
@click.option("--mirror/--no-mirror", default=True, show_default=True,
              help="Whether a mask may be the mirror image of others, as of organs on the left and on the right.")
@seed
@click.option("--resume/--overwrite", default=True, show_default=True,
              help="Keep the masks that the report has already, or fit all anew.")
@click.pass_context
def command(ctx: click.Context, masks: tuple[Path, ...], output: Path, label: str, labels: str | None,
            template: str, library: str | None, images: Path | None, count: int | None, grid: str | None,
            scale: bool | None, mirror: bool, seed: int, resume: bool) -> None:
    """Fit a template to MASKS: NIfTI files, folders of them, MONAI lists or raw data sets of nnU-Net.

    What comes out are a formula with priors that a person can read and share, a recipe that draws volumes with it, and
    pictures of masks and fits. A call that was ended goes on where it stood when the same command is given again.
    """
    from fdif_dsl.runtime import fitting

    if labels is not None and label != "0":
        raise click.UsageError("--label takes labels as one, --labels each by itself: give one of the two")
    told = _told(ctx)
    with _Report() as report:
        hooks = fitting.Hooks(report.note, report.fitted)
        try:
            found = fitting.fit(
                list(masks), output, template, label=_whole(label, "--label"),
                labels=() if labels is None else _whole(labels, "--labels"), library=library, images=images,
                most=count, grid=_grid(grid), scale=scale, mirror=mirror, seed=seed, resume=resume, command=told,
                hooks=hooks)
        except KeyboardInterrupt:
            report.close()
            click.echo("interrupted; the same command goes on with the masks that are left", err=True)
            ctx.exit(INTERRUPTED)
    width = max(len(name) for name in found.names)
    click.echo(f"{'mask':{width}}   Dice  surface distance (voxels)")
    for name, dice, surface in zip(found.names, found.dice, found.surface, strict=True):
        click.echo(f"{name:{width}}  {dice:.3f}  {surface:.2f}")
    click.echo(f"{'mean':{width}}  {sum(found.dice) / len(found.dice):.3f}  "
               f"{sum(found.surface) / len(found.surface):.2f}")
    click.echo(f"{len(found.spread.modes)} modes of variation; written: {found.formula}, {found.recipe}, "
               f"pictures in {found.report}")


def _told(ctx: click.Context) -> str:
    """The command as a reader of the formula may see it: without the names of masks, and without folders."""
    words = ["fdifc", "fit", "MASKS"]
    for option in ctx.command.params:
        value = ctx.params.get(str(option.name))
        given = ctx.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        if isinstance(option, click.Option) and given and option.name != "resume":
            on = option.opts[0] if value is not False else option.secondary_opts[0]
            words += [on] if isinstance(value, bool) else [on, Path(str(value)).name]
    return shlex.join(words)


def _whole(text: str, option: str) -> tuple[int, ...]:
    """Whole numbers, with commas between them."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.UsageError(f"{option} {text!r}: write whole numbers, as in 1,2") from None


def _grid(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    sides = _whole(text, "--grid")
    if len(sides) != 3 or not all(8 <= side <= 1024 for side in sides):
        raise click.UsageError(f"--grid {text!r}: write three sides from 8 to 1024, as in 48,64,48")
    return sides[0], sides[1], sides[2]


class _Report(Report):
    """A bar for the masks, and a line for what is to be said of one."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Any = None

    def note(self, text: str) -> None:
        click.echo(f"note: {text}", err=True)

    def fitted(self, done: int, total: int) -> None:
        from fdif_dsl.compiler.support.progress import bar

        if self._bar is None:
            self._bar = self.bars.enter_context(bar("fitting"))
        self._bar(done, total)
