"""What is said of a compiled library that cannot be used."""

from __future__ import annotations

from pathlib import Path

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError


def refusal(place: Path | str, code: str, what: str, why: str = "") -> FdifError:
    """Why an artefact cannot be used, in one line: `what` goes on after "the compiled library"."""
    return FdifError(Diagnostic(code, f"the compiled library {what}", where=str(place), why=why,
                                hint="run `fdifc compile` again"))
