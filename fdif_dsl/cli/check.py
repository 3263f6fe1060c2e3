"""`fdifc check`: says what is wrong in formula files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fdif_dsl.cli.options import FilePath


@click.command("check")
@click.argument("files", nargs=-1, required=True, type=FilePath)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="`json` prints a list of diagnostics, for editors.")
@click.pass_context
def command(ctx: click.Context, files: tuple[Path, ...], form: str) -> None:
    """Say what is wrong in FILES, with the place, the reason and a hint. Exit code 1 where anything is."""
    from fdif_dsl.compiler.frontend.diagnose import check_files

    found = check_files(list(files))
    if form == "json":
        click.echo(json.dumps([d.to_dict() for d in found], indent=2, ensure_ascii=False))
    elif found:
        click.echo("\n\n".join(d.render() for d in found), err=True)
    else:
        click.echo(f"{len(files)} {'file' if len(files) == 1 else 'files'} checked, nothing wrong")
    ctx.exit(1 if found else 0)
