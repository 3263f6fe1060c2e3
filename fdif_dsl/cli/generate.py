"""`fdifc generate`: a data set of labelled volumes on disk."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from fdif_dsl.cli.options import FilePath, library, seed
from fdif_dsl.compiler.progress import bar
from fdif_dsl.runtime.datasets import FORMATS


@click.command("generate")
@click.option("--recipe", default="paper", show_default=True, metavar="NAME|FILE",
              help="A built-in recipe, or a TOML file.")
@click.option("--count", type=click.IntRange(1), required=True, metavar="N", help="How many volumes.")
@seed
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="monai", show_default=True,
              help="monai: Medical Segmentation Decathlon, NIfTI files and datalist.json.")
@click.option("-o", "directory", type=FilePath, required=True, metavar="DIR", help="The folder for the data set.")
@click.option("--scenes", is_flag=True, help="Write the scene of each volume beside it, as JSON.")
@library
def command(recipe: str, count: int, seed: int, form: str, directory: Path, scenes: bool,
            library_path: Path | None) -> None:
    """Write volumes 0 to N - 1 of a seed, with their labels and an overview picture."""
    from fdif_dsl.compiler.library import load_library
    from fdif_dsl.runtime.recipe import Recipe, resolve

    chosen = Recipe.load(recipe)
    lib = load_library(library_path)
    lib.compile(formulas=resolve(chosen, lib).formulas)
    with bar("volumes") as advance:
        import_module(FORMATS[form]).write(
            lib, chosen, directory, name=Path(recipe).stem, count=count, seed=seed, scenes=scenes, progress=advance)
    click.echo(f"{count} {'volume' if count == 1 else 'volumes'} in {directory}, picture in "
               f"{directory / 'overview.png'}")
