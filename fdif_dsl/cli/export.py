"""`fdifc export`: trained weights in the form of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fdif_dsl.cli.options import FilePath

if TYPE_CHECKING:
    from fdif_dsl.runtime.exports.export import Export


@click.command("export")
@click.argument("checkpoint", metavar="CHECKPOINT")
@click.option("--to", "tool", required=True, metavar="TOOL",
              help="nnunet, nnssl, monai (for PyTorch too), hub, or, after fine-tuning, monai-bundle.")
@click.option("-o", "directory", type=FilePath, metavar="DIR",
              help="The folder for the export. [default: TOOL, beside the weights]")
@click.option("--channels", type=click.IntRange(1), metavar="N",
              help="Input channels of the images that you have. [default: those of the weights, most often 1]")
@click.option("--push", metavar="USER/NAME", help="With --to hub: upload it as this model repository.")
@click.option("--private", is_flag=True, help="With --push: a repository that is made is for you alone.")
def command(checkpoint: str, tool: str, directory: Path | None, channels: int | None, push: str | None,
            private: bool) -> None:
    """Write the weights in CHECKPOINT in the form that TOOL reads, with a model card.

    CHECKPOINT is the folder of a run of `fdifc pretrain`, of which the best weights are taken, or weights.pt or best.pt
    in it; an export of such, or hf://user/name. For monai-bundle it is the folder of a run of `fdifc finetune`, or a
    weights.pt in it.
    """
    from fdif_dsl.runtime.exports import bundle
    from fdif_dsl.runtime.exports.export import BUNDLE, check_tool, export
    from fdif_dsl.runtime.weights.source import read_weights

    check_tool(tool)
    if push and tool != "hub":
        raise click.UsageError("--push goes with --to hub")
    if private and not push:
        raise click.UsageError("--private goes with --push")
    if tool == BUNDLE:
        if channels is not None:
            raise click.UsageError("--channels does not go with --to monai-bundle: a fine-tuned network has its own")
        tuned = bundle.read(Path(checkpoint))
        click.echo(f"{tuned.kind}, fine-tuned, from {tuned.path}")
        _tell(bundle.export_bundle(tuned, directory or tuned.path.parent / tool))
        return
    pretrained = read_weights(checkpoint)
    beside = pretrained.path.parent if Path(checkpoint).exists() else Path()  # and not in the hub's cache
    done = export(pretrained, tool, directory or beside / tool, channels or pretrained.inputs, push or "", private)
    click.echo(f"{pretrained.network} of step {pretrained.step}, from {pretrained.path}")
    _tell(done)


def _tell(done: Export) -> None:
    main, *others = done.files
    click.echo(f"wrote {main} ({main.stat().st_size / 1e6:.1f} MB), and beside it "
               + ", ".join(path.name for path in others))
    for note in done.notes:
        click.echo(f"note: {note}")
    if done.address:
        click.echo(f"uploaded to {done.address}")
    click.echo(f"next: {done.next}")
