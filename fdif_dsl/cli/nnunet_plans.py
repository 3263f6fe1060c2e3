"""`fdifc nnunet-plans`: a configuration for pre-trained weights in the plans of an nnU-Net data set."""

from __future__ import annotations

from pathlib import Path

import click

from fdif_dsl.cli.options import FilePath


@click.command("nnunet-plans")
@click.argument("plans", type=FilePath, metavar="PLANS.json")
@click.option("--weights", "weights_path", type=FilePath, required=True, metavar="PATH",
              help="What `fdifc export --to nnunet` wrote, or a run of `fdifc pretrain`.")
@click.option("-o", "output", type=FilePath, metavar="FILE",
              help="Write the plans there, under that name. [default: change PLANS.json]")
@click.option("--name", default="3d_fdif", show_default=True, help="What the configuration is called.")
@click.option("--patch", type=click.IntRange(1), nargs=3, metavar="D H W",
              help="The patch in voxels, in the plans' order of axes. [default: as pre-trained]")
@click.option("--batch", type=click.IntRange(1), default=2, show_default=True, metavar="N", help="Patches in a batch.")
def command(plans: Path, weights_path: Path, output: Path | None, name: str, patch: tuple[int, int, int] | None,
            batch: int) -> None:
    """Add a configuration to PLANS.json, of an nnU-Net data set, that trains from pre-trained weights.

    It inherits 3d_fullres, so what was preprocessed for that is used again, and has the weights' network. The command
    that trains is printed.
    """
    from fdif_dsl.runtime.exports.configuration import add_configuration
    from fdif_dsl.runtime.exports.nnunet_weights import read_weights

    if output is not None and output.suffix != ".json":
        raise click.BadParameter("nnU-Net finds plans by names that end in .json", param_hint="-o")
    weights = read_weights(weights_path)
    added = add_configuration(plans, weights, output, name, patch, batch)
    target = output or plans
    click.echo(f"added the configuration {name} to {target}" if added.changed
               else f"{target} has the configuration {name} already")
    for note in added.notes:
        click.echo(f"note: {note}")
    click.echo(f"next: {added.next}")
