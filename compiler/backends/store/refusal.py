"""What is said of a compiled library that cannot be used."""

from __future__ import annotations

from pathlib import Path

from fdif_dsl.compiler.support.trust import Exposed, Exposure, exposure, read_guarded
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError


def refusal(place: Path | str, code: str, what: str, why: str = "",
            hint: str = "run `fdifc compile` again") -> FdifError:
    """Why an artefact cannot be used, in one line: `what` goes on after "the compiled library"."""
    return FdifError(Diagnostic(code, f"the compiled library {what}", where=str(place), why=why,
                                hint=hint))


def check_folder(folder: Path) -> None:
    """Raises `FdifError` where others could change the compiled library in a folder."""
    if found := exposure(folder):
        raise _of_others(folder, found)


def read_file(path: Path) -> bytes:
    """A file of a compiled library whose folder is checked.

    Raises:
        FdifError: others could change it.
    """
    try:
        return read_guarded(path)
    except Exposed as error:
        raise _of_others(path.parent, error.found) from None


def _of_others(folder: Path, found: Exposure) -> FdifError:
    return refusal(folder, "E0710", "can be changed by others, and it is code that runs with your rights", found.why,
                   found.hint("compile it yourself"))
