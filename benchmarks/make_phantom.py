"""Writes the phantom of an abdomen as a data set, for trying what trains and segments where no scans are at hand.

    python benchmarks/make_phantom.py -o phantom
    fdifc finetune small --data phantom/datalist.json --weights laptop --compare scratch --cases 4 --steps 100
"""

from __future__ import annotations

from pathlib import Path

import click
from phantom.dataset import write_phantom
from phantom.picture import draw_phantom


@click.command(help=(__doc__ or "").replace("    python", "\b\n    python"))
@click.option("--training", type=click.IntRange(1), default=4, show_default=True, help="Cases to train on.")
@click.option("--validation", type=click.IntRange(1), default=8, show_default=True, help="Cases that are held out.")
@click.option("--voxel", type=click.FloatRange(1, 12), default=6.0, show_default=True, help="Of a slice, in mm.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True)
@click.option("-o", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path("phantom"),
              show_default=True)
def main(training: int, validation: int, voxel: float, seed: int, folder: Path) -> None:
    try:
        path = write_phantom(folder, training, validation, voxel, seed)
    except FileExistsError as error:
        raise click.ClickException(str(error)) from None
    if training > 1:  # it shows a CT and an MR case
        draw_phantom(path, folder / "phantom.png")
    click.echo(f"{training} cases to train on and {validation} held out: {path}")


if __name__ == "__main__":
    main()
