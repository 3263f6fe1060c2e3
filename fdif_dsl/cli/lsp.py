"""`fdifc lsp`: the language server that editors start."""

from __future__ import annotations

from importlib.util import find_spec

import click

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError


@click.command("lsp")
def command() -> None:
    """Answer an editor on standard input and output: mistakes while typing, docs, completion, renaming, pictures.

    Editors start this by themselves; docs/editors.md says how to set them up.
    """
    if find_spec("pygls") is None:
        raise FdifError(Diagnostic("E0850", "the language server needs pygls", where="fdifc lsp",
                                   hint="pip install 'fdif-dsl[lsp]'"))
    from fdif_dsl.runtime.editor.server import make_server

    make_server().start_io()
