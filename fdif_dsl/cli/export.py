"""`fdifc export`: pre-trained weights in the form of another tool."""

from __future__ import annotations

from pathlib import Path

import click

from fdif_dsl.cli.options import FilePath


@click.command("export")
@click.argument("checkpoint", type=FilePath, metavar="CHECKPOINT")
@click.option("--to", "tool", required=True, metavar="TOOL", help="nnunet, nnssl or monai (for PyTorch too).")
@click.option("-o", "directory", type=FilePath, metavar="DIR",
              help="The folder for the export. [default: TOOL, beside the weights]")
@click.option("--channels", type=click.IntRange(1), default=1, show_default=True, metavar="N",
              help="Input channels of the images that you have.")
def command(checkpoint: Path, tool: str, directory: Path | None, channels: int) -> None:
    """Write the weights in CHECKPOINT in the form that TOOL reads, with a model card.

    CHECKPOINT is the folder of a run of `fdifc pretrain`, of which the best weights are taken, or weights.pt or best.pt
    in it.
    """
    from fdif_dsl.runtime.exports.export import export
    from fdif_dsl.runtime.training.pretrained import Pretrained

    pretrained = Pretrained.read(checkpoint)
    done = export(pretrained, tool, directory or pretrained.path.parent / tool, channels)
    main, *others = done.files
    click.echo(f"{pretrained.network} of step {pretrained.step}, from {pretrained.path}")
    click.echo(f"wrote {main} ({main.stat().st_size / 1e6:.1f} MB), and beside it "
               + ", ".join(path.name for path in others))
    for note in done.notes:
        click.echo(f"note: {note}")
    click.echo(f"next: {done.next}")
