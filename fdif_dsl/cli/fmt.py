"""`fdifc fmt`: brings formula files into the canonical layout."""

from __future__ import annotations

from pathlib import Path

import click

from fdif_dsl.cli.options import FilePath
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError


@click.command("fmt")
@click.argument("files", nargs=-1, required=True, type=FilePath)
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit code 1 where a file would change.")
@click.pass_context
def command(ctx: click.Context, files: tuple[Path, ...], only_check: bool) -> None:
    """Rewrite FILES in the canonical layout. Meaning and comments stay."""
    from fdif_dsl.compiler.support.files import write_text
    from fdif_dsl.grammar.format import format_source
    from fdif_dsl.grammar.parse import read_source

    for file in files:
        if file.exists() and not file.is_file():  # a folder, or a device that never ends
            raise FdifError(Diagnostic("E0844", f"{file} is no file", hint="name .sdf files"))

    # All are formatted before any is written: an error in the last file leaves the first as it was.
    before = [read_source(file).text for file in files]
    after = [format_source(text, str(file)) for file, text in zip(files, before, strict=True)]
    changed = [(file, new) for file, old, new in zip(files, before, after, strict=True) if old != new]
    for file, text in changed:
        if not only_check:
            write_text(file, text)
        click.echo(f"{'would reformat' if only_check else 'reformatted'} {file}")
    same = len(files) - len(changed)
    click.echo(f"{same} {'file' if same == 1 else 'files'} already in the canonical layout")
    ctx.exit(1 if only_check and changed else 0)
