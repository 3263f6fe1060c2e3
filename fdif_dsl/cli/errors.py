"""One place turns what went wrong into what the user reads: a diagnostic on stderr and an exit code."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

INTERRUPTED = 130  # what shells report for a program that Ctrl-C ended


@contextmanager
def report_errors() -> Iterator[None]:
    """Turns errors that a user can cause into their text and exit code 1, Ctrl-C into 130.

    Anything else is a fault of this program and keeps its traceback.
    """
    try:
        yield
    except FdifError as error:
        _fail(str(error))
    except BrokenPipeError:
        raise  # the reader has gone; click ends the program quietly
    except OSError as error:
        if error.errno is None:  # raised by a library in its own words
            raise
        _fail(file_diagnostic(error).render())
    except MemoryError:
        _fail(Diagnostic("E0802", "this machine has not enough memory for that",
                         hint="a smaller grid or a smaller batch needs less").render())
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)


def file_diagnostic(error: OSError) -> Diagnostic:
    """What the operating system refused, in one title that names the path."""
    path = error.filename2 or error.filename
    hints = {
        errno.ENOSPC: "free some space, or write to another place",
        errno.EROFS: "the file system is read-only; write to another place",
        errno.EACCES: "you lack the permission; write to another place or change the permissions",
    }
    what = (error.strerror or str(error)).lower()
    title = f"{path}: {what}" if path else what
    return Diagnostic("E0801", title, hint=hints.get(error.errno or 0, ""))


def _fail(text: str, code: int = 1) -> None:
    sys.stdout.flush()
    click.echo(text, err=True)
    click.get_current_context().exit(code)
