"""`fdifc show`: one class, its parameters and its picture; or the pictures of all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fdif_dsl.cli.console import stdout
from fdif_dsl.cli.find import find_class
from fdif_dsl.cli.options import FilePath, library, seed
from fdif_dsl.compiler.support.progress import bar

_FILES = 8  # of those that a shape was sampled from, up to which all are told


@click.command("show")
@click.argument("name", required=False)
@click.option("-o", "output", type=FilePath, metavar="PATH", help="The picture, a PNG file; with --all a folder.")
@click.option("--all", "everything", is_flag=True, help="A picture of each class and a gallery, in the folder -o.")
@library()
@seed
def command(name: str | None, output: Path | None, everything: bool, paths: tuple[str, ...], seed: int) -> None:
    """Show the class NAME: what it is, its parameters and their priors, and with -o its picture.

    The picture of a shape has three slices of the distance field and a shaded view of one instance; that of a
    displacement or a mapper shows a ball with it. Parameters are drawn with --seed.
    """
    if everything == (name is not None):
        raise click.UsageError("give the NAME of a class, or --all")
    if everything and output is None:
        raise click.UsageError("--all needs a folder for the pictures: -o DIR")
    if output is not None and not everything and output.suffix.lower() != ".png":
        raise click.UsageError(f"pictures are PNG files, and {output} does not end in .png")
    from fdif_dsl.compiler.library import load_library

    lib = load_library(paths or None)
    if everything:
        from fdif_dsl.runtime.pictures.portrait import draw_all

        assert output is not None
        with bar("drawing") as advance:
            draw_all(lib, output, seed=seed, progress=advance)
        click.echo(f"pictures of all classes in {output}, the shapes together in {output / 'gallery.png'}")
        return
    assert name is not None
    kind, found = find_class(lib, name)
    _print(kind, found.formula)
    if output is not None:
        from fdif_dsl.runtime.pictures.portrait import draw

        output.parent.mkdir(parents=True, exist_ok=True)
        draw(lib, name, output, seed=seed)
        click.echo(f"\npicture in {output}")
    else:
        click.echo(f"\n-o {name}.png draws it")


def _print(kind: str, formula: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from fdif_dsl.compiler.ir.fields import origins_of
    from fdif_dsl.grammar.diagnostics import printable

    console = stdout()
    console.print(Text.assemble((formula.name, "bold"), f"  {kind}, declared at {formula.place}"))
    if formula.doc:
        console.print(Text(printable(formula.doc)))
    for origin in origins_of(formula.fields)[:_FILES]:
        told = [origin["dataset"], origin["licence"], f"sha256 {origin['sha256'][:12]}"]
        console.print(Text(printable(f"sampled from {origin['file']} ({', '.join(filter(None, told))})"), "dim"))
    if len(origins_of(formula.fields)) > _FILES:
        console.print(Text(f"and {len(origins_of(formula.fields)) - _FILES} more files", "dim"))
    fixed = [(name, "int", str(value), "fixed: part of the class") for name, value in formula.integers.items()]
    rows = fixed + [(q.name, q.type, f"{'~' if q.random else '='} {q.source}", q.doc) for q in formula.quantities]
    if not rows:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("parameter", "type", "value", "about"):
        table.add_column(column, style="bold" if column == "parameter" else "", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print()
    console.print(table)
