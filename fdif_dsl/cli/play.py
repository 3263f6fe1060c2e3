"""`fdifc play`: the playground in the browser."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from fdif_dsl.cli.options import FilePath
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

_NEEDED = ("starlette", "uvicorn", "websockets", "lsprotocol")


@click.command("play")
@click.argument("file", required=False, type=FilePath)
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True,
              help="Where to listen; 0 takes any port that is free.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS",
              help="The address to listen on. Any other than this machine's own shows the folder to the network.")
@click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")
def command(file: Path | None, port: int, host: str, no_browser: bool) -> None:
    """Show shapes in the browser while they are written: FILE, or without one the gallery of the standard library.

    The page can read and save the .sdf files of the folder that this is started in, and of no other; whoever has the
    address that is printed can use it. docs/playground.md shows what there is.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise FdifError(Diagnostic("E0890", f"the playground needs {' and '.join(missing)}", where="fdifc play",
                                   hint="pip install 'fdif-dsl[play]'"))
    from fdif_dsl.runtime.play.serve import serve

    serve(Path.cwd(), file, host, port, not no_browser, click.echo)
