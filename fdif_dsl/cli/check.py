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
    """Say what is wrong in FILES, with the place, the reason and a hint. Exit code 1 where anything is.

    Where nothing is wrong, warn of priors that give no number, and of what is finite nowhere; the exit code is 0.
    """
    from fdif_dsl.compiler.frontend.diagnose import check_files
    from fdif_dsl.compiler.library.cautions import cautions

    found = check_files(list(files))
    warned = [] if found else cautions(list(files))
    if form == "json":
        click.echo(json.dumps([d.to_dict() for d in (*found, *warned)], indent=2, ensure_ascii=False))
    elif found:
        click.echo("\n\n".join(d.render() for d in found), err=True)
    else:
        if warned:
            click.echo("\n\n".join(d.render() for d in warned), err=True)
        said = f"{len(warned)} warning{'' if len(warned) == 1 else 's'}" if warned else "nothing wrong"
        click.echo(f"{len(files)} {'file' if len(files) == 1 else 'files'} checked, {said}")
    ctx.exit(1 if found else 0)
