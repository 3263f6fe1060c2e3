"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

FilePath = click.Path(path_type=Path)

library = click.option(
    "--library", "library_path", type=FilePath, metavar="PATH",
    help="A .sdf file, a folder of them or a compiled library. [default: the standard library]")

seed = click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True,
                    help="The same seed gives the same volumes on every machine.")
